"""HDF5 without surprises: files made in memory, and datasets that hold no more than they say, all in their own file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from huse.features.errors import ShardError

CHUNK_BYTES = 1 << 20
SMALL = 1 << 16
"""Bytes up to which an array is stored in one piece; larger ones are in chunks, each with a checksum of HDF5."""

MOST_COMPRESSED = 1100
"""How many times smaller than its array a compressed dataset may be; deflate reaches 1,032."""

REBUILD = "run the command that made it again"
"""What to do about a damaged shard."""


def file_image(arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, str | int], compression: str) -> bytes:
    """The bytes of an HDF5 file of some datasets and root attributes; equal ones give equal bytes.

    Args:
        arrays: by name.
        attributes: by name.
        compression: of large arrays: ``""``, ``lzf`` or ``gzip``.
    """
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(CHUNK_BYTES, False)
    file = h5py.h5f.create(b"shard", h5py.h5f.ACC_TRUNC, fapl=access)
    try:
        for name, array in arrays.items():
            _write_dataset(file, name, np.ascontiguousarray(array), compression)
        root = h5py.File(file)
        for key, value in attributes.items():
            root.attrs[key] = np.bytes_(value.encode()) if isinstance(value, str) else np.int64(value)
        h5py.h5f.flush(file)
        return bytes(file.get_file_image())
    finally:
        file.close()


def read_attributes(file: h5py.h5f.FileID, path: Path) -> dict[str, str | int]:
    """The root attributes of an open file.

    Raises:
        ShardError: one is neither a string nor a whole number.
    """
    attributes: dict[str, str | int] = {}
    for i in range(h5py.h5a.get_num_attrs(file)):
        attribute = h5py.h5a.open(file, index=i)
        name = attribute.name.decode()
        if attribute.shape != () or attribute.dtype.kind not in "Si":
            raise ShardError(f"{path}: attribute {name} is no string and no whole number; {REBUILD}")
        value = np.empty((), attribute.dtype)
        attribute.read(value)
        attributes[name] = value.item().decode() if attribute.dtype.kind == "S" else int(value)
    return attributes


def own_dataset(file: h5py.h5f.FileID, name: str, path: Path) -> h5py.h5d.DatasetID:
    """A dataset of this file; links and virtual datasets could read any file of the user's.

    Raises:
        ShardError: it lies elsewhere, or is not there.
    """
    encoded = name.encode()
    if not file.links.exists(encoded) or file.links.get_info(encoded).type != h5py.h5l.TYPE_HARD:
        raise ShardError(f"{path}: {name} is a link or missing; shards must hold their own data")
    dataset = h5py.h5d.open(file, encoded)
    created = dataset.get_create_plist()
    if created.get_layout() == h5py.h5d.VIRTUAL or created.get_external_count():
        raise ShardError(f"{path}: {name} keeps its data outside the file; shards must hold their own data")
    return dataset


def require_stored(dataset: h5py.h5d.DatasetID, name: str, path: Path) -> None:
    """Refuses, before memory is taken, a column that declares more than the file holds of it.

    Raises:
        ShardError: the message names it.
    """
    declared = int(np.prod(dataset.shape, dtype=object)) * dataset.dtype.itemsize
    compressed = dataset.get_create_plist().get_layout() == h5py.h5d.CHUNKED and _is_compressed(dataset)
    if declared > dataset.get_storage_size() * (MOST_COMPRESSED if compressed else 1):
        raise ShardError(f"{path}: {name} declares more than the file holds; {REBUILD}")


def read_rows(dataset: h5py.h5d.DatasetID, start: int, stop: int | None) -> NDArray[Any]:
    """Rows `start` to `stop` of a dataset, or to its end."""
    length, *rest = dataset.shape
    stop = length if stop is None else min(stop, length)
    array = np.empty((max(stop - start, 0), *rest), dataset.dtype)
    if not array.size:
        return array
    file_space = dataset.get_space()
    file_space.select_hyperslab((start, *(0 for _ in rest)), array.shape)
    dataset.read(h5py.h5s.create_simple(array.shape), file_space, array)
    return array


def _is_compressed(dataset: h5py.h5d.DatasetID) -> bool:
    created = dataset.get_create_plist()
    filters = {created.get_filter(i)[0] for i in range(created.get_nfilters())}
    return bool(filters & {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_LZF})


def _write_dataset(file: h5py.h5f.FileID, name: str, array: NDArray[Any], compression: str) -> None:
    if array.nbytes > SMALL:
        rows_a_chunk = max(1, CHUNK_BYTES // (array.nbytes // len(array)))
        h5py.File(file).create_dataset(
            name,
            data=array,
            chunks=(min(len(array), rows_a_chunk), *array.shape[1:]),
            fletcher32=True,
            compression=compression or None,
            track_times=False,
        )
        return
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_obj_track_times(False)
    kind = h5py.h5t.py_create(array.dtype, logical=True)
    dataset = h5py.h5d.create(file, name.encode(), kind, h5py.h5s.create_simple(array.shape), created)
    if array.size:
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, array)
