"""One HDF5 file of rows: written atomically, read back whole, verified by content.

The layout is described in docs/formats.md. Equal rows and attributes give equal bytes: nothing in the file depends on
time, path or process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from huse.features.atomic import replacing
from huse.features.errors import ShardError
from huse.features.rows import Failure, Rows

FORMAT_VERSION = 1
CHUNK_BYTES = 1 << 20
VECTOR_COLUMNS = ("image", "text")

Attributes = Mapping[str, str | int]
Arrays = dict[str, NDArray[Any]]


def write_shard(path: Path, rows: Rows, attributes: Attributes, dtype: str = "float16", compression: str = "") -> None:
    """Writes a shard so that it is there whole or not at all.

    Args:
        path: the final file; a temporary file beside it is flushed, synced and renamed onto it.
        rows: what to store.
        attributes: strings and integers kept in the file's root, such as fingerprints.
        dtype: stored type of the vectors, ``float16`` or ``float32``.
        compression: ``""``, ``lzf`` or ``gzip``.

    Raises:
        ShardError: a vector is not finite in the stored type.
    """
    arrays = _to_arrays(rows, np.dtype(dtype), path)
    stored = {**attributes, "format_version": FORMAT_VERSION, "rows": len(rows)}
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        for name, array in arrays.items():
            _write_dataset(file, name, array, compression)
        for key, value in stored.items():
            file.attrs[key] = np.bytes_(value.encode()) if isinstance(value, str) else np.int64(value)
        file.attrs["content_digest"] = np.bytes_(content_digest(arrays, stored).encode())


def read_shard(path: Path, verify: bool = True) -> tuple[Rows, dict[str, str | int]]:
    """Reads a whole shard.

    Args:
        path: the file.
        verify: recompute the content digest and compare; the chunks' own checksums are always checked.

    Returns:
        The rows, vectors in their stored type, and the root attributes without the digest.

    Raises:
        ShardError: the file does not open, is of another format version, points outside itself, or fails a checksum.
    """
    try:
        with h5py.File(path, "r") as file:
            attributes = _read_attributes(file, path)
            digest = attributes.pop("content_digest", None)
            arrays = {name: _open_dataset(file, name, path)[()] for name in _dataset_names(file, path)}
        rows = _from_arrays(arrays)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ShardError(
            f"{path}: cannot be read ({_first_line(error)}); run huse extract again to rebuild it"
        ) from error
    if verify and digest != content_digest(arrays, attributes):
        raise ShardError(f"{path}: content does not match its digest; run huse extract again to rebuild it")
    return rows, attributes


def read_columns(path: Path, names: tuple[str, ...]) -> Arrays:
    """Reads some columns only, strings decoded; chunk checksums are checked, the content digest is not.

    Raises:
        ShardError: as `read_shard`.
    """
    return read_slice(path, names, 0, None)


def read_slice(path: Path, names: tuple[str, ...], start: int, stop: int | None) -> Arrays:
    """Rows `start` to `stop` of some columns, as `read_columns`; only the chunks they lie in are read.

    Raises:
        ShardError: as `read_shard`.
    """
    try:
        with h5py.File(path, "r") as file:
            _read_attributes(file, path)
            arrays = {name: _open_dataset(file, name, path)[start:stop] for name in names}
            return {name: _decode(a) if a.dtype.kind == "S" else a for name, a in arrays.items()}
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ShardError(
            f"{path}: cannot be read ({_first_line(error)}); run huse extract again to rebuild it"
        ) from error


def read_attributes(path: Path) -> dict[str, str | int]:
    """The root attributes of a shard, without touching its rows.

    Raises:
        ShardError: as `read_shard`.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read_attributes(file, path)
    except (OSError, RuntimeError, KeyError) as error:
        raise ShardError(
            f"{path}: cannot be read ({_first_line(error)}); run huse extract again to rebuild it"
        ) from error


def content_digest(arrays: Arrays, attributes: Attributes) -> str:
    """Hexadecimal SHA-256 over names, types, shapes and bytes of all datasets, and over the attributes."""
    digest = hashlib.sha256()
    for key in sorted(attributes):
        digest.update(f"{key}={attributes[key]}\n".encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}:{array.dtype.str}:{array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _to_arrays(rows: Rows, dtype: np.dtype[Any], path: Path) -> Arrays:
    arrays: Arrays = {}
    for name, column in rows.columns().items():
        if column.dtype == object:
            arrays[name] = _encode(column)
        elif name in VECTOR_COLUMNS:
            with np.errstate(over="ignore"):
                arrays[name] = column.astype(dtype)
            _require_finite(arrays[name], rows, name, path)
        else:
            arrays[name] = column
    for part in ("key", "stage", "reason"):
        arrays[f"failures/{part}"] = _encode(np.array([getattr(f, part) for f in rows.failures], dtype=object))
    return arrays


def _require_finite(vectors: NDArray[Any], rows: Rows, name: str, path: Path) -> None:
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        key = rows.key[int(np.argmax(bad))]
        raise ShardError(f"{path}: {name} vector of key {key!r} is not finite as {vectors.dtype}; use --dtype float32")


def _from_arrays(arrays: Arrays) -> Rows:
    decoded: dict[str, Any] = {name: _decode(a) if a.dtype.kind == "S" else a for name, a in arrays.items()}
    failed = [decoded.pop(f"failures/{part}") for part in ("key", "stage", "reason")]
    known = {f.name for f in fields(Rows)}
    rows = Rows(
        **{name: a for name, a in decoded.items() if name in known},
        failures=[Failure(*values) for values in zip(*failed, strict=True)],
    )
    lengths = {name: len(column) for name, column in rows.columns().items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns differ in length: {lengths}")
    return rows


def _encode(strings: NDArray[np.object_]) -> NDArray[np.bytes_]:
    encoded = [value.encode("utf-8") for value in strings]
    width = max((len(value) for value in encoded), default=0)
    return np.array(encoded, dtype=f"S{max(width, 1)}")


def _decode(strings: NDArray[np.bytes_]) -> NDArray[np.object_]:
    decoded = np.empty(len(strings), dtype=object)
    decoded[:] = [value.decode("utf-8") for value in strings]
    return decoded


def _write_dataset(file: h5py.File, name: str, array: NDArray[Any], compression: str) -> None:
    if array.size == 0:  # HDF5 has no chunks, and so no checksums, for datasets without elements
        file.create_dataset(name, data=array, track_times=False)
        return
    row_bytes = array.nbytes // len(array)
    rows_a_chunk = max(1, min(len(array), CHUNK_BYTES // max(row_bytes, 1)))
    file.create_dataset(
        name,
        data=array,
        chunks=(rows_a_chunk, *array.shape[1:]),
        fletcher32=True,
        compression=compression or None,
        track_times=False,
    )


def _dataset_names(file: h5py.File, path: Path) -> list[str]:
    names: list[str] = []
    for name in file:
        _require_hard_link(file, name, path)
        if isinstance(file[name], h5py.Group):
            names.extend(f"{name}/{child}" for child in file[name])
        else:
            names.append(name)
    return names


def _open_dataset(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    """A dataset whose bytes all lie in this file; links and virtual datasets could read any file of the user's."""
    parts = name.split("/")
    for depth in range(1, len(parts) + 1):
        _require_hard_link(file, "/".join(parts[:depth]), path)
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ShardError(f"{path}: {name} keeps its data outside the file; shards must hold their own data")
    return dataset


def _require_hard_link(file: h5py.File, name: str, path: Path) -> None:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ShardError(f"{path}: {name} is a link or missing; shards must hold their own data")


def _read_attributes(file: h5py.File, path: Path) -> dict[str, str | int]:
    attributes = {key: value.decode() if isinstance(value, bytes) else int(value) for key, value in file.attrs.items()}
    if attributes.get("format_version") != FORMAT_VERSION:
        found = attributes.get("format_version", "none")
        raise ShardError(f"{path}: format version {found}, this huse reads {FORMAT_VERSION}")
    return attributes


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
