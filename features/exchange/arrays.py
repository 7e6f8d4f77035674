"""Arrays in files of other programs: .npy, .npz, .mat, HDF5 and Parquet."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from huse.features.errors import StoreError
from huse.features.exchange.mat import read_mat
from huse.features.extras import require
from huse.features.files.cache import local_copy
from huse.features.files.place import place
from huse.features.strings import clean_text, clean_value

HDF5_SUFFIXES = (".h5", ".hdf5")
ARRAY_SUFFIXES = (".npy", ".npz", ".mat", *HDF5_SUFFIXES, ".parquet")

DAMAGE = (
    *(OSError, EOFError, ValueError, TypeError, ArithmeticError, LookupError, MemoryError, RuntimeError, SyntaxError),
    *(struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
"""What readers of arrays raise where a file is not as it should be."""

LONGEST_NAME = 60
"""Characters of an array's name that a message shows."""


def read_array(name: str) -> NDArray[Any]:
    """An array in a file.

    Args:
        name: ``F.npy``, ``F.npz:name``, ``F.mat:variable`` (also of version 7.3), ``F.h5:dataset`` or
            ``F.parquet:column``. The name in the file may be left out when there is but one.

    Raises:
        StoreError: no such file or array, or it holds Python objects.
    """
    path, inside = _parts(name)
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(local_copy(path), mmap_mode="r", allow_pickle=False))
        if path.suffix == ".npz":
            with local_copy(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                return np.asarray(file[_only(file.files, inside, path)])
        if path.suffix == ".mat":
            return _read_mat(path, inside)
        if path.suffix in HDF5_SUFFIXES:
            return _read_hdf5(path, inside)
        return _read_parquet(path, inside)
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no such file") from error
    except StoreError:
        raise
    except DAMAGE as error:
        reason = clean_text(next(iter(str(error).splitlines()), "")) or type(error).__name__
        raise StoreError(f"{name}: cannot be read ({reason}); save plain arrays of numbers or strings") from error


def _parts(name: str) -> tuple[Path, str]:
    for suffix in ARRAY_SUFFIXES:
        if f"{suffix}:" in name:
            path, _, inside = name.rpartition(f"{suffix}:")
            return place(path + suffix), inside
    if place(name).suffix not in ARRAY_SUFFIXES:
        raise StoreError(f"{name}: unknown format; name a file {', '.join(ARRAY_SUFFIXES)}")
    return place(name), ""


def _only(there: list[str], inside: str, path: Path) -> str:
    if inside in there:
        return inside
    if inside or len(there) != 1:
        named = ", ".join(clean_text(name)[:LONGEST_NAME] for name in there) or "nothing"
        raise StoreError(f"{path}: has {named}; name one as {path.name}:NAME")
    return there[0]


def _read_mat(path: Path, inside: str) -> NDArray[Any]:
    copy = local_copy(path)
    if copy.exists() and h5py.is_hdf5(copy):  # version 7.3, its arrays transposed
        return _read_hdf5(path, inside).T
    found = read_mat(copy, inside)
    return np.asarray(read_mat(copy, _only(found, inside, path))) if isinstance(found, list) else found


def _read_hdf5(path: Path, inside: str) -> NDArray[Any]:
    """A dataset at the top of a file; links into other files are not followed."""
    with h5py.File(local_copy(path), "r") as file:
        own = [name for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)]
        name = _only([name for name in own if isinstance(file[name], h5py.Dataset)], inside, path)
        found = file[name]
        if h5py.check_string_dtype(found.dtype):
            return np.asarray(found.asstr()[()])
        if found.dtype.kind == "O":
            way_out = "save numbers or strings, MATLAB's cells with -v7 and not -v7.3"
            raise StoreError(f"{path}: {clean_text(name)[:LONGEST_NAME]} holds references or lists; {way_out}")
        return np.asarray(found)


def _read_parquet(path: Path, inside: str) -> NDArray[Any]:
    parquet = require("pyarrow.parquet", "parquet", path.name)
    file = parquet.ParquetFile(local_copy(path))
    column = _only(list(file.schema_arrow.names), inside, path)
    values = file.read(columns=[column])[column]
    kind = values.type.storage_type if hasattr(values.type, "storage_type") else values.type
    types = require("pyarrow.types", "parquet", path.name)
    if types.is_struct(kind) or types.is_map(kind):
        raise StoreError(f"{path}: column {column} holds {kind}; name a column of numbers, strings or lists of numbers")
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _stacked([part.storage if hasattr(part, "storage") else part for part in values.chunks])
    return np.array([clean_value(value) for value in values.to_pylist()])


def _stacked(parts: list[Any]) -> NDArray[np.float32]:
    """Lists of numbers as rows; a row that is null is of zeros, as of a missing vector."""
    lengths = np.concatenate([np.zeros(0, int), *(_lengths(part) for part in parts)])
    widths = np.unique(lengths[lengths >= 0])
    if len(widths) > 1:
        raise ValueError(f"lists of {widths[0]} and of {widths[-1]} numbers")
    stacked = np.zeros((len(lengths), int(widths.max(initial=0))), np.float32)
    flat = [np.asarray(part.flatten().to_numpy(zero_copy_only=False), np.float32) for part in parts]
    stacked[lengths >= 0] = np.concatenate([np.zeros(0, np.float32), *flat]).reshape(-1, stacked.shape[1])
    return stacked


def _lengths(lists: Any) -> NDArray[np.integer]:
    """How long each list is, -1 for a null."""
    valid = lists.is_valid().to_numpy(zero_copy_only=False)
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    return np.where(valid, np.nan_to_num(lengths, nan=-1), -1).astype(int)


def file_of(name: str) -> str:
    """The file that a name of an array lies in, as `read_array` takes it."""
    return next((name[: name.index(f"{s}:") + len(s)] for s in ARRAY_SUFFIXES if f"{s}:" in name), name)
