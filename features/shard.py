"""One HDF5 file of rows: written whole, read by columns, each verified by its digest.

The layout is described in docs/formats.md. Equal rows and attributes give equal bytes: nothing in the file depends on
time, path or process. The file is made in memory, so that a full disk is met by plain writing alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from huse.features import hdf5
from huse.features.atomic import replacing
from huse.features.columns import (
    ENDS,
    LAYOUTS,
    OPTIONAL,
    VECTORS,
    Arrays,
    arrays_of,
    is_string,
    rows_of,
    strings_of,
)
from huse.features.errors import ShardError
from huse.features.hdf5 import REBUILD, file_image, own_dataset, read_rows, require_stored
from huse.features.rows import Rows
from huse.features.shard_v1 import columns_of, read_version_1

FORMAT_VERSION = 2
Attributes = Mapping[str, str | int]
State = tuple[int, int, int]
"""Inode, size and time of a file: another state, another content."""


def write_shard(path: Path, rows: Rows, attributes: Attributes, dtype: str = "float16", compression: str = "") -> None:
    """Writes a shard so that it is there whole or not at all.

    Args:
        path: the final file; a temporary file beside it is synced and renamed onto it.
        rows: what to store.
        attributes: strings and integers kept in the file's root, such as fingerprints.
        dtype: stored type of the vectors, ``float16`` or ``float32``.
        compression: ``""``, ``lzf`` or ``gzip``.

    Raises:
        ShardError: a vector is not finite in the stored type, or a string is no Unicode text.
        OSError: the disk is full, or cannot be written.
    """
    try:
        arrays = arrays_of(rows, np.dtype(dtype))
    except UnicodeEncodeError as error:
        raise ShardError(
            f"{path}: {error.object!r} holds half a character (a lone surrogate); mend that row"
        ) from error
    for name in VECTORS:
        _require_finite(arrays[name], rows, name, path)
    digests = {name: _digest(name, array) for name, array in arrays.items()}
    stored = {**attributes, "format_version": FORMAT_VERSION, "rows": len(rows)}
    stored["digests"] = json.dumps(digests, sort_keys=True, separators=(",", ":"))
    stored["content_digest"] = _content_digest(stored)
    image = file_image(arrays, stored, compression)
    with replacing(path) as temporary:
        temporary.write_bytes(image)


def read_shard(
    path: Path, widths: Mapping[str, int] | None = None, dtype: str | None = None
) -> tuple[Rows, dict[str, str | int]]:
    """Reads a whole shard and verifies it.

    Args:
        path: the file.
        widths: length of the ``image`` and ``text`` vectors that the shard must have.
        dtype: type of the vectors that it must have.

    Returns:
        The rows, vectors in their stored type, and the root attributes without the digests.

    Raises:
        ShardError: the file does not open, is of another format version or shape, points outside itself, or a digest
            does not match.
    """
    with _opened(path) as shard:
        columns = {name: shard.column(name) for name in shard.names()}
        rows = rows_of(columns)
        for name in VECTORS:
            vectors: NDArray[Any] = columns[name]
            if widths is not None and vectors.shape[1] != widths[name]:
                raise ShardError(f"{path}: {name} vectors of length {vectors.shape[1]}, not {widths[name]}; {REBUILD}")
            if dtype is not None and vectors.shape[1] and vectors.dtype != np.dtype(dtype):
                raise ShardError(f"{path}: {name} vectors of {vectors.dtype}, not {dtype}; {REBUILD}")
        return rows, {n: v for n, v in shard.attributes.items() if n not in ("content_digest", "digests")}


def read_columns(path: Path, names: tuple[str, ...]) -> Arrays:
    """Reads and verifies some columns only, strings decoded.

    Raises:
        ShardError: as `read_shard`.
    """
    with _opened(path) as shard:
        return {name: shard.column(name) for name in names}


def read_slice(path: Path, names: tuple[str, ...], start: int, stop: int) -> Arrays:
    """Rows `start` to `stop` of some columns, as `read_columns`.

    A column is verified whole when its first slice is read; after that only the chunks that a slice lies in are read,
    until the file changes.

    Raises:
        ShardError: as `read_shard`.
    """
    _require_verified(path, _state(path), names)
    with _opened(path) as shard:
        return {name: shard.slice(name, start, stop) for name in names}


def read_attributes(path: Path) -> dict[str, str | int]:
    """The root attributes of a shard, verified, without touching its rows.

    Raises:
        ShardError: as `read_shard`.
    """
    with _opened(path) as shard:
        return shard.attributes


@dataclass(frozen=True)
class _Shard:
    """An open shard of the present version."""

    file: h5py.h5f.FileID
    path: Path
    attributes: dict[str, str | int]
    digests: dict[str, str]

    def names(self) -> list[str]:
        return [name for name in self.digests if not name.endswith(ENDS)]

    def column(self, name: str) -> NDArray[Any]:
        """A column, verified by its digest."""
        if is_string(name):
            return strings_of(self._whole(name), self._whole(name + ENDS))
        array = self._whole(name)
        if name in VECTORS and not np.isfinite(array).all():
            raise ShardError(f"{self.path}: {name} holds vectors that are not finite; {REBUILD}")
        return array

    def slice(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Some rows of a column."""
        if not is_string(name):
            return read_rows(self._open(name), start, stop)
        before = max(start - 1, 0)
        ends = read_rows(self._open(name + ENDS), before, stop)
        first = int(ends[0]) if start else 0
        ends = ends[start - before :]
        last = int(ends[-1]) if len(ends) else first
        return strings_of(read_rows(self._open(name), first, last), ends, first)

    def _whole(self, name: str) -> NDArray[Any]:
        array = read_rows(self._open(name), 0, None)
        if _digest(name, array) != self.digests[name]:
            raise ShardError(f"{self.path}: {name} does not match its digest; {REBUILD}")
        return array

    def _open(self, name: str) -> h5py.h5d.DatasetID:
        """A column whose bytes all lie in this file, of the type and size that it must have."""
        dataset = own_dataset(self.file, name, self.path)
        layout, shape = LAYOUTS[name], dataset.shape
        expected = self.attributes["rows"] if layout.rows == "rows" else shape[0] if shape else 0
        good = (
            dataset.dtype.str in layout.dtypes
            and len(shape) == (1 if layout.width is None else 2)
            and shape[0] == expected
            and (not layout.width or shape[1] == layout.width)
        )
        if not good:
            raise ShardError(f"{self.path}: {name} is {dataset.dtype} of shape {shape}; {REBUILD}")
        require_stored(dataset, name, self.path)
        return dataset


class _Version1:
    """An open shard of format version 1, which is read whole."""

    def __init__(self, path: Path, attributes: dict[str, str | int]) -> None:
        self.attributes = attributes
        self._columns = columns_of(_read_version_1(path, _state(path)))

    def names(self) -> list[str]:
        return list(self._columns)

    def column(self, name: str) -> NDArray[Any]:
        return self._columns[name].copy()

    def slice(self, name: str, start: int, stop: int) -> NDArray[Any]:
        return self._columns[name][start:stop].copy()


@contextmanager
def _opened(path: Path) -> Iterator[_Shard | _Version1]:
    """The open shard; whatever goes wrong while it is read is told of the file."""
    try:
        file = h5py.h5f.open(os.fsencode(path), h5py.h5f.ACC_RDONLY)
        try:
            attributes = hdf5.read_attributes(file, path)
            if _require_version(attributes, path):
                yield _Shard(file, path, attributes, _require_digests(attributes, path))
            else:
                yield _Version1(path, attributes)
        finally:
            file.close()
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise ShardError(f"{path}: cannot be read ({_first_line(error)}); {REBUILD}") from error


def _require_version(attributes: dict[str, str | int], path: Path) -> bool:
    """Whether a shard is of the present version, and not of version 1."""
    version = attributes.get("format_version", "none")
    if version not in (1, FORMAT_VERSION):
        raise ShardError(f"{path}: format version {version}, this huse reads 1 to {FORMAT_VERSION}")
    return version == FORMAT_VERSION


def _require_digests(attributes: dict[str, str | int], path: Path) -> dict[str, str]:
    """The digest of each column, once the attributes are those that were written."""
    if attributes.get("content_digest") != _content_digest(attributes):
        raise ShardError(f"{path}: attributes do not match their digest; {REBUILD}")
    digests: dict[str, str] = json.loads(str(attributes["digests"]))
    required = set(LAYOUTS) - {*OPTIONAL, "prediction" + ENDS}
    if not required <= set(digests) <= set(LAYOUTS):
        odd = sorted(required ^ set(digests))
        raise ShardError(f"{path}: lacks columns, or has others: {', '.join(odd)}; {REBUILD}")
    return digests


@lru_cache(maxsize=1 << 16)
def _require_verified(path: Path, state: State, names: tuple[str, ...]) -> None:  # noqa: ARG001 - of the cache's key
    """Verifies columns of a file once in each state of it."""
    read_columns(path, names)


@lru_cache(maxsize=2)
def _read_version_1(path: Path, state: State) -> Rows:  # noqa: ARG001 - of the cache's key
    return read_version_1(path)


def _state(path: Path) -> State:
    try:
        found = path.stat()
    except OSError as error:
        raise ShardError(f"{path}: cannot be read ({error.strerror}); {REBUILD}") from error
    return found.st_ino, found.st_size, found.st_mtime_ns


def _require_finite(vectors: NDArray[Any], rows: Rows, name: str, path: Path) -> None:
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        key = rows.key[int(np.argmax(bad))]
        raise ShardError(f"{path}: {name} vector of key {key!r} is not finite as {vectors.dtype}; use --dtype float32")


def _digest(name: str, array: NDArray[Any]) -> str:
    """Hexadecimal SHA-256 over name, type, shape and bytes of a column."""
    digest = hashlib.sha256(f"{name}:{array.dtype.str}:{array.shape}\n".encode())
    if array.size:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _content_digest(attributes: Attributes) -> str:
    """Hexadecimal SHA-256 over all attributes but itself, the digests of the columns among them."""
    lines = (f"{key}={attributes[key]}\n" for key in sorted(attributes) if key != "content_digest")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
