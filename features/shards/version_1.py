"""The columns of a shard of format version 1: fixed-length strings, and one digest over the whole file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from h5py import h5f
from numpy.typing import NDArray

from huse.features.columns import (
    ALL_STRINGS,
    FAILURE_STRINGS,
    REBUILD,
    Dimensions,
    require_column,
    require_sound,
)
from huse.features.errors import ShardError
from huse.features.shards.hdf5 import Dataset, dataset_names
from huse.features.shards.version_2 import CHECKED, ShardColumns, file_state

EVERYTHING = "*"


class Version1Columns(ShardColumns):
    """An open shard of version 1; the first read of a file checks all of it, and vectors need as much memory."""

    def __init__(self, path: Path, file: h5f.FileID, attributes: dict[str, str | int], dimensions: Dimensions) -> None:
        """Opens the datasets.

        Raises:
            ShardError: a count, type or size is not what it must be.
        """
        self.path = path
        self.attributes = attributes
        self.rows = self.count("rows")
        self._state = file_state(file)
        found = {name: Dataset(file, name) for name in dataset_names(file)}
        self._datasets = {name.replace("failures/", "failure_"): dataset for name, dataset in found.items()}
        self.names = tuple(self._datasets)
        for name, dataset in self._datasets.items():
            if name not in ALL_STRINGS:
                require_column(path, name, dataset.shape, dataset.dtype, self.rows, dimensions)
            elif dataset.dtype.kind != "S" or len(dataset.shape) != 1:
                self._refuse(f"{name} has shape {dataset.shape} of {dataset.dtype}")
            elif name not in FAILURE_STRINGS and dataset.shape[0] != self.rows:
                self._refuse(f"{name} has {dataset.shape[0]} rows of {self.rows}")

    def read(self, names: Iterable[str]) -> dict[str, NDArray[Any]]:
        """Whole columns, checked."""
        everything = self._read_all()
        return {name: _decoded(everything[name]) for name in names}

    def verify(self, names: Iterable[str]) -> None:  # noqa: ARG002
        """Reads everything to check it: one digest is over all columns."""
        self._read_all()

    def slice(self, names: Iterable[str], start: int, stop: int | None) -> dict[str, NDArray[Any]]:
        """Rows of columns of a file that was checked once; chunks have checksums of their own."""
        if not CHECKED.has(self.path, self._state, EVERYTHING):
            self._read_all()
            CHECKED.add(self.path, self._state, [EVERYTHING])
        return {name: _decoded(self._dataset(name).read(start, stop)) for name in names}

    def _read_all(self) -> dict[str, NDArray[Any]]:
        digest = hashlib.sha256()
        for key in sorted(self.attributes):
            if key != "content_digest":
                digest.update(f"{key}={self.attributes[key]}\n".encode())
        found = {name: dataset.read() for name, dataset in self._datasets.items()}
        for name, values in sorted((self._datasets[name].name, values) for name, values in found.items()):
            digest.update(f"{name}:{values.dtype.str}:{values.shape}\n".encode())
            digest.update(np.ascontiguousarray(values).data)
        if digest.hexdigest() != self.attributes.get("content_digest"):
            raise ShardError(f"{self.path}: content does not match its digest; {REBUILD}")
        for name, values in found.items():
            require_sound(self.path, name, values)
        return found


def _decoded(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind != "S":
        return values
    decoded = np.empty(len(values), dtype=object)
    decoded[:] = [value.decode("utf-8") for value in values]
    return decoded
