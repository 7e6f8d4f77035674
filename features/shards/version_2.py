"""The columns of one shard of format version 2, read by name and checked by their digests."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from h5py import h5f
from numpy.typing import NDArray

from huse.features.columns import (
    ALL_STRINGS,
    FAILURE_STRINGS,
    PREDICTIONS,
    REBUILD,
    REPEATED,
    REQUIRED,
    Dimensions,
    require_column,
    require_sound,
)
from huse.features.errors import ShardError
from huse.features.shards.hdf5 import Dataset
from huse.features.shards.packing import unpack

LAYOUT_ATTRIBUTES = ("content_digest", "columns")
BLOCK_BYTES = 1 << 24
"""Bytes of a column read at a time where it is checked and not returned."""

State = tuple[int, ...]


class Checked:
    """Which columns of which files this process has found to match their digests, as long as a file stays as it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._columns: dict[str, tuple[State, set[str]]] = {}

    def has(self, path: Path, state: State, name: str) -> bool:
        """Whether a column was checked."""
        with self._lock:
            known, names = self._columns.get(str(path), ((), set()))
            return known == state and name in names

    def add(self, path: Path, state: State, names: Iterable[str]) -> None:
        """Notes columns that were checked."""
        with self._lock:
            known, before = self._columns.get(str(path), ((), set()))
            self._columns[str(path)] = (state, {*(before if known == state else ()), *names})


CHECKED = Checked()


def file_state(file: h5f.FileID) -> State:
    """What changes when an open file is written to, or another is opened by its name."""
    found = os.fstat(file.get_vfd_handle())
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class ShardColumns:
    """An open shard. Count, type and size of a column are checked before its values are read.

    Attributes:
        attributes: of the root.
        names: of the columns.
    """

    def __init__(self, path: Path, file: h5f.FileID, attributes: dict[str, str | int], dimensions: Dimensions) -> None:
        """Reads no dataset.

        Raises:
            ShardError: an attribute is not what it must be.
        """
        self.path = path
        self.attributes = attributes
        self.rows = self.count("rows")
        self._file = file
        self._state = file_state(file)
        self._dimensions = dimensions
        self._datasets: dict[str, Dataset] = {}
        self._read_layout()

    @property
    def described(self) -> dict[str, str | int]:
        """The attributes but for those that describe the layout."""
        return {name: value for name, value in self.attributes.items() if name not in LAYOUT_ATTRIBUTES}

    def count(self, name: str) -> int:
        """An attribute that counts something."""
        value = self.attributes.get(name)
        if not isinstance(value, int) or value < 0:
            raise ShardError(f"{self.path}: {name} is {value!r}; {REBUILD}")
        return value

    def read(self, names: Iterable[str]) -> dict[str, NDArray[Any]]:
        """Whole columns, checked."""
        names = tuple(names)
        strings = dict(self._all_strings()) if set(self._strings) <= set(names) else {}
        found = {name: strings[name] if name in strings else self._checked(name) for name in names}
        CHECKED.add(self.path, self._state, names)
        return found

    def verify(self, names: Iterable[str]) -> None:
        """Compares whole columns with their digests and keeps nothing of them."""
        for name in names:
            self._check(name, sound=False)

    def slice(self, names: Iterable[str], start: int, stop: int | None) -> dict[str, NDArray[Any]]:
        """Rows of columns, each of which was checked once."""
        found = {}
        for name in names:
            if not CHECKED.has(self.path, self._state, name):
                self._check(name)
                CHECKED.add(self.path, self._state, [name])
            found[name] = self._part(name, start, stop)
        return found

    def _read_layout(self) -> None:
        """Takes the columns' digests and order from the attributes, and refuses those that a shard does not have."""
        columns = json.loads(str(self.attributes.get("columns")))
        self._digests: dict[str, str] = columns["digests"]
        self._strings: list[str] = columns["strings"]
        self.names = tuple(self._digests)
        strings = ALL_STRINGS & set(self.names)
        if set(self.names) - set(PREDICTIONS) != REQUIRED or sorted(self._strings) != sorted(strings):
            self._refuse("columns are not those that a shard has")
        failures = int(columns["failures"])
        lengths = [failures if name in FAILURE_STRINGS else self.rows for name in self._strings]
        stops = list(accumulate(lengths))
        self._places = {n: (stop - k, stop) for n, k, stop in zip(self._strings, lengths, stops, strict=True)}
        datasets = len(self.names) - len(strings) + 2
        if len(self._file) != datasets:
            self._refuse(f"holds {len(self._file)} objects, its columns are {datasets}")

    def _dataset(self, name: str) -> Dataset:
        """A dataset whose shape and type are as they must be."""
        if name not in self._datasets:
            dataset = Dataset(self._file, name)
            if name in ("string_ends", "strings"):
                length, kind = (self._places[self._strings[-1]][1:], "<u8") if name == "string_ends" else ((), "|u1")
                if len(dataset.shape) != 1 or dataset.shape != (length or dataset.shape) or dataset.dtype.str != kind:
                    self._refuse(f"{name} has shape {dataset.shape} of {dataset.dtype}")
            else:
                require_column(self.path, name, dataset.shape, dataset.dtype, self.rows, self._dimensions)
            self._datasets[name] = dataset
        return self._datasets[name]

    def _refuse(self, reason: str) -> None:
        raise ShardError(f"{self.path}: {reason}; {REBUILD}")

    def _all_strings(self) -> Iterator[tuple[str, NDArray[np.object_]]]:
        """All columns of strings, checked, in two reads."""
        data, ends = self._dataset("strings").read(), self._dataset("string_ends").read()
        at = 0
        for name, (first, last) in self._places.items():
            stop = int(ends[last - 1]) if last > first else at
            yield name, self._checked_strings(name, ends[first:last] - np.uint64(at), data[at:stop])
            at = stop

    def _checked_strings(self, name: str, ends: NDArray[np.uint64], data: NDArray[np.uint8]) -> NDArray[np.object_]:
        self._require_digest(name, digest_of(name, ends, data))
        return _unpacked(name, data, ends)

    def _checked(self, name: str) -> NDArray[Any]:
        if name in self._strings:
            return self._checked_strings(name, *self._string_bytes(name, 0, None))
        values = self._dataset(name).read()
        self._require_digest(name, digest_of(name, values))
        require_sound(self.path, name, values)
        return values

    def _check(self, name: str, sound: bool = True) -> None:
        if name in self._strings:
            self._require_digest(name, digest_of(name, *self._string_bytes(name, 0, None)))
            return
        dataset = self._dataset(name)
        digest = _begun(name, dataset.dtype, dataset.shape).copy()
        for block in blocks(dataset):
            if sound:
                require_sound(self.path, name, block)
            digest.update(block)
        self._require_digest(name, digest.hexdigest())

    def _part(self, name: str, start: int, stop: int | None) -> NDArray[Any]:
        if name not in self._strings:
            return self._dataset(name).read(start, stop)
        ends, data = self._string_bytes(name, start, stop)
        return _unpacked(name, data, ends)

    def _string_bytes(self, name: str, start: int, stop: int | None) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """Ends, counted from the first byte of the part, and bytes of some strings of a column."""
        first, last = self._places[name]
        stop = last if stop is None else min(first + stop, last)
        start = min(first + start, stop)
        found = self._dataset("string_ends").read(max(start - 1, 0), stop)
        at = found[0] if start else np.uint64(0)
        ends = found[1:] if start else found
        end = ends[-1] if len(ends) else at
        if end < at:
            self._refuse("ends of strings do not ascend")
        return ends - at, self._dataset("strings").read(int(at), int(end))

    def _require_digest(self, name: str, found: str) -> None:
        if self._digests[name] != found:
            raise ShardError(f"{self.path}: {name} does not match its digest; {REBUILD}")


def digest_of(name: str, values: NDArray[Any], data: NDArray[np.uint8] | None = None) -> str:
    """Hexadecimal SHA-256 over name, type, shape and bytes of a column; of strings, over their ends and their bytes."""
    digest = _begun(name, values.dtype, values.shape).copy()
    digest.update(np.ascontiguousarray(values))
    if data is not None:
        digest.update(np.ascontiguousarray(data))
    return str(digest.hexdigest())


def blocks(dataset: Dataset) -> Iterator[NDArray[Any]]:
    """All values of a dataset, some rows at a time."""
    length = dataset.shape[0]
    size = max(1, BLOCK_BYTES * length // max(dataset.nbytes, 1))
    for start in range(0, length, size):
        yield dataset.read(start, start + size)


@lru_cache(1024)  # for callers that go on with a copy
def _begun(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    return hashlib.sha256(f"{name}:{dtype.str}:{shape}\n".encode())


def _unpacked(name: str, data: NDArray[np.uint8], ends: NDArray[np.uint64]) -> NDArray[np.object_]:
    strings = unpack(data.tobytes(), ends)
    if name in REPEATED:
        once: dict[str, str] = {}
        strings[:] = [once.setdefault(value, value) for value in strings]
    return strings
