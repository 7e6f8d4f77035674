"""Shards of format version 1: fixed-length strings, and one digest over the whole. They are read, never written."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from huse.features.columns import FAILURE_STRINGS, Arrays
from huse.features.errors import ShardError
from huse.features.hdf5 import read_attributes, require_stored
from huse.features.rows import Failure, Rows

FAILURE_NAMES = tuple(f"failures/{part}" for part in ("key", "stage", "reason"))

Attributes = dict[str, str | int]


def read_version_1(path: Path) -> Rows:
    """The rows of a shard, all of them, checked by its content digest.

    Raises:
        ShardError: the content is not that of the digest, or lies outside of the file.
        OSError: the file is damaged; so for the errors of h5py and NumPy.
    """
    with h5py.File(path, "r") as file:
        attributes = read_attributes(file.id, path)
        arrays = {name: _open_dataset(file, name, path)[()] for name in _dataset_names(file, path)}
    if attributes.pop("content_digest", None) != _content_digest(arrays, attributes):
        raise ShardError(f"{path}: content does not match its digest; run the command that made it again")
    return _from_arrays(arrays)


def columns_of(rows: Rows) -> Arrays:
    """The columns of a shard, named as in later versions."""
    failed = zip(*((f.key, f.stage, f.reason) for f in rows.failures), strict=True) if rows.failures else ((),) * 3
    failures = {name: np.array(list(v), dtype=object) for name, v in zip(FAILURE_STRINGS, failed, strict=True)}
    return {**rows.columns(), **failures}


def _content_digest(arrays: Arrays, attributes: Attributes) -> str:
    """Hexadecimal SHA-256 over names, types, shapes and bytes of all datasets, and over the attributes."""
    digest = hashlib.sha256()
    for key in sorted(attributes):
        digest.update(f"{key}={attributes[key]}\n".encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}:{array.dtype.str}:{array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _from_arrays(arrays: Arrays) -> Rows:
    decoded: dict[str, Any] = {name: _decode(a) if a.dtype.kind == "S" else a for name, a in arrays.items()}
    failed = [decoded.pop(name) for name in FAILURE_NAMES]
    known = {f.name for f in fields(Rows)}
    rows = Rows(
        **{name: a for name, a in decoded.items() if name in known},
        failures=[Failure(*values) for values in zip(*failed, strict=True)],
    )
    lengths = {name: len(column) for name, column in rows.columns().items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns differ in length: {lengths}")
    return rows


def _decode(strings: NDArray[np.bytes_]) -> NDArray[np.object_]:
    decoded = np.empty(len(strings), dtype=object)
    decoded[:] = [value.decode("utf-8") for value in strings]
    return decoded


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
    require_stored(dataset.id, name, path)
    return dataset


def _require_hard_link(file: h5py.File, name: str, path: Path) -> None:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ShardError(f"{path}: {name} is a link or missing; shards must hold their own data")
