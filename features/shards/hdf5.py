"""HDF5 files by the low-level interface of h5py: made in memory, and read without trust in what they declare."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EACCES, EIO, EMFILE, ENFILE, ENOMEM, ENOTCONN, EPERM, ESTALE, ETIMEDOUT
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5l, h5p, h5s, h5t, h5z
from numpy.typing import NDArray

from huse.features.columns import REBUILD
from huse.features.errors import ShardError, UnreadableError
from huse.features.files.cache import local_copy

CHUNK_BYTES = 1 << 20
SMALL_STEP, LARGE_STEP = 1 << 16, 1 << 24
"""Bytes by which a file in memory grows."""

NOT_DAMAGE = {EACCES, EPERM, EIO, EMFILE, ENFILE, ENOMEM, ESTALE, ENOTCONN, ETIMEDOUT}
"""What goes wrong on the way to a file, and says nothing of its content."""

MOST_ATTRIBUTE_BYTES = 1 << 16
MOST_EXPANSION = 1100
"""Bytes that a byte of deflate or LZF can become at most, rounded up."""

LZF = 32000
_FILTERS = {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32, LZF}

Attributes = Mapping[str, str | int]
Arrays = dict[str, NDArray[Any]]


def file_image(arrays: Mapping[str, NDArray[Any]], attributes: Attributes, compressed: Mapping[str, str]) -> bytes:
    """The bytes of an HDF5 file; equal arguments give equal bytes.

    Args:
        arrays: datasets of the root; contiguous, so that a slice is one read.
        attributes: of the root.
        compressed: ``lzf`` or ``gzip`` for the datasets that are stored in compressed chunks with Fletcher32 checksums.
    """
    size = sum(array.nbytes for array in arrays.values())
    file = h5f.create(b"image", h5f.ACC_TRUNC, fapl=_in_memory(SMALL_STEP if size < LARGE_STEP else LARGE_STEP))
    for name, array in arrays.items():
        creation = _creation() if not array.size else _chunked(array, compressed.get(name, ""))
        kind = _type(array.dtype)
        dataset = h5d.create(file, name.encode(), kind, _space(array.shape), creation)
        dataset.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(array), kind)
    for name, value in attributes.items():
        stored = np.array(value.encode()) if isinstance(value, str) else np.array(value, "<i8")
        kind = _type(stored.dtype)
        h5a.create(file, name.encode(), kind, _scalar()).write(stored, kind)
    h5f.flush(file)
    image: bytes = file.get_file_image()
    return image


@contextmanager
def reading(path: Path) -> Iterator[h5f.FileID]:
    """Opens a file to read, without links in its root; whatever is wrong with it is a `ShardError` of one line.

    Raises:
        UnreadableError: it may be whole, and could not be read this time.
        ShardError: it is damaged.
    """
    try:
        file = h5f.open(os.fsencode(_on_this_machine(path)), h5f.ACC_RDONLY, _on_disk())
        _require_hard_links(file)
        yield file  # HDF5 closes it with the last that holds of it; an explicit close goes through all that is open
    except MemoryError as error:
        raise UnreadableError(f"{path}: cannot be read, out of memory; close other programs") from error
    except OSError as error:
        if error.errno in NOT_DAMAGE:
            advice = "make it readable, or remove it to have it made anew"
            raise UnreadableError(f"{path}: cannot be read ({os.strerror(error.errno)}); {advice}") from error
        raise _damaged(path, error) from error
    except (RuntimeError, LookupError, ValueError, TypeError, ArithmeticError) as error:
        raise _damaged(path, error) from error


def _on_this_machine(path: Path) -> Path:
    try:
        return local_copy(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read ({error.strerror})") from error


def _damaged(path: Path, error: Exception) -> ShardError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ShardError(f"{path}: cannot be read ({reason}); {REBUILD}")


def read_attributes(file: h5f.FileID) -> dict[str, str | int]:
    """The root's attributes.

    Raises:
        ValueError: one is not a string or an integer.
    """
    names: list[bytes] = []
    h5a.iterate(file, names.append)
    return {name.decode(): _attribute(h5a.open(file, name), name) for name in names}


def _attribute(attribute: h5a.AttrID, name: bytes) -> str | int:
    dtype = _dtype(attribute.get_type().encode())
    one = attribute.get_storage_size() == dtype.itemsize <= MOST_ATTRIBUTE_BYTES
    if not one or dtype.kind not in "Siu":
        raise ValueError(f"attribute {name.decode()} is no string or integer")
    stored = np.empty((), dtype)
    attribute.read(stored, _type(dtype))
    value: bytes | int = stored.item()
    return value.decode() if isinstance(value, bytes) else value


def dataset_names(file: h5f.FileID) -> list[str]:
    """The datasets of the root, and of its groups as ``group/name``.

    Raises:
        ValueError: a group has links.
    """
    names = []
    for name in file:
        if h5g.get_objinfo(file, name).type == h5g.GROUP:
            group = h5g.open(file, name)
            _require_hard_links(group)
            names += [f"{name.decode()}/{child.decode()}" for child in group]
        else:
            names.append(name.decode())
    return names


class Dataset:
    """A dataset that lies within its file, and in no more bytes than it declares.

    Attributes:
        name: its path.
        shape: as declared, at most what the file can hold.
        dtype: of the values.
    """

    def __init__(self, file: h5f.FileID, name: str) -> None:
        """Opens it without reading values.

        Raises:
            ValueError: it keeps values elsewhere, or declares more than the file holds.
        """
        self.name = name
        self._dataset = h5d.open(file, name.encode())
        self.shape: tuple[int, ...] = self._dataset.shape
        self.dtype = _dtype(self._dataset.get_type().encode())
        _require_own_data(self._dataset, name, self.nbytes, file)

    @property
    def nbytes(self) -> int:
        """Bytes of all values in memory."""
        size = self.dtype.itemsize
        for length in self.shape:
            size *= length
        return size

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """The values from `start` to `stop` of the first axis."""
        length = self.shape[0]
        stop = length if stop is None else min(stop, length)
        start = min(start, stop)
        values = np.empty((stop - start, *self.shape[1:]), self.dtype)
        if not values.size:
            return values
        if len(values) == length:
            self._dataset.read(h5s.ALL, h5s.ALL, values, _type(self.dtype))
            return values
        space = self._dataset.get_space()
        space.select_hyperslab((start, *(0 for _ in self.shape[1:])), values.shape)
        self._dataset.read(h5s.create_simple(values.shape), space, values, _type(self.dtype))
        return values


def _require_hard_links(group: h5g.GroupID) -> None:
    linked, _ = group.links.iterate(lambda name, info: None if info.type == h5l.TYPE_HARD else name, info=True)
    if linked is not None:
        raise ValueError(f"{linked.decode()} is a link; shards must hold their own data")


def _require_own_data(dataset: h5d.DatasetID, name: str, nbytes: int, file: h5f.FileID) -> None:
    offset, length = dataset.get_offset(), file.get_filesize()
    # only contiguous values within the file have an offset
    fits = _fits_otherwise(dataset, name, nbytes, length) if offset is None else offset + nbytes <= length
    if not fits:
        raise ValueError(f"{name} declares {nbytes} bytes that are not in the file")


def _fits_otherwise(dataset: h5d.DatasetID, name: str, nbytes: int, length: int) -> bool:
    creation, stored = dataset.get_create_plist(), dataset.get_storage_size()
    layout = creation.get_layout()
    if layout == h5d.CONTIGUOUS and not creation.get_external_count():
        return not nbytes
    if layout != h5d.CHUNKED:
        raise ValueError(f"{name} is linked, virtual or external; shards must hold their own data")
    filters = {creation.get_filter(i)[0] for i in range(creation.get_nfilters())}
    expansion = MOST_EXPANSION if filters & {h5z.FILTER_DEFLATE, LZF} else 1
    chunks = zip(creation.get_chunk(), dataset.shape, strict=True)
    within = all(chunk <= max(extent, 1) for chunk, extent in chunks)
    return within and filters <= _FILTERS and stored <= length and nbytes <= expansion * stored


def _chunked(array: NDArray[Any], compression: str) -> h5p.PropDCID:
    if not compression:
        return _creation()
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)
    row_bytes = max(array.nbytes // len(array), 1)
    creation.set_chunk((max(1, min(len(array), CHUNK_BYTES // row_bytes)), *array.shape[1:]))
    if compression == "gzip":
        creation.set_deflate(4)
    else:
        creation.set_filter(LZF, h5z.FLAG_OPTIONAL)
    creation.set_fletcher32()
    return creation


@cache
def _creation() -> h5p.PropDCID:
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)
    return creation


@cache
def _in_memory(step: int) -> h5p.PropFAID:
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fapl_core(step, False)
    return access


@cache
def _on_disk() -> h5p.PropFAID:
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_file_locking(False, True)  # shards are replaced, never changed; some network disks have no locks
    return access


@cache
def _scalar() -> h5s.SpaceID:
    return h5s.create(h5s.SCALAR)


@lru_cache(64)
def _space(shape: tuple[int, ...]) -> h5s.SpaceID:
    return h5s.create_simple(shape)


@lru_cache(64)
def _type(dtype: np.dtype[Any]) -> h5t.TypeID:
    return h5t.py_create(dtype)


@lru_cache(64)
def _dtype(encoded: bytes) -> np.dtype[Any]:
    dtype: np.dtype[Any] = h5t.decode(encoded).dtype
    return dtype
