"""Arrays in files of other programs: .npy, .npz, .mat and Parquet."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from huse.features.errors import StoreError
from huse.features.extras import require
from huse.features.strings import clean_value

ARRAY_SUFFIXES = (".npy", ".npz", ".mat", ".parquet")


def read_array(name: str) -> NDArray[Any]:
    """An array in a file.

    Args:
        name: ``F.npy``, ``F.npz:name``, ``F.mat:variable`` (also of version 7.3) or ``F.parquet:column``. The name in
            the file may be left out when there is but one.

    Raises:
        StoreError: no such file or array, or it holds Python objects.
    """
    path, inside = _parts(name)
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return np.asarray(file[_only(file.files, inside, path)])
        if path.suffix == ".mat":
            return _read_mat(path, inside)
        return _read_parquet(path, inside)
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoreError(f"{name}: cannot be read ({reason}); save plain arrays of numbers or strings") from error


def _parts(name: str) -> tuple[Path, str]:
    for suffix in ARRAY_SUFFIXES:
        if f"{suffix}:" in name:
            path, _, inside = name.rpartition(f"{suffix}:")
            return Path(path + suffix), inside
    if Path(name).suffix not in ARRAY_SUFFIXES:
        raise StoreError(f"{name}: unknown format; name a file {', '.join(ARRAY_SUFFIXES)}")
    return Path(name), ""


def _only(there: list[str], inside: str, path: Path) -> str:
    if inside in there:
        return inside
    if inside or len(there) != 1:
        raise StoreError(f"{path}: has {', '.join(there) or 'nothing'}; name one as {path.name}:NAME")
    return there[0]


def _read_mat(path: Path, inside: str) -> NDArray[Any]:
    from scipy.io import loadmat, whosmat

    if path.exists() and h5py.is_hdf5(path):  # version 7.3, its arrays transposed
        with h5py.File(path, "r") as file:
            there = [name for name in file if isinstance(file[name], h5py.Dataset)]
            return np.asarray(file[_only(there, inside, path)]).T
    name = _only([name for name, _, _ in whosmat(path)], inside, path)
    array: NDArray[Any] = loadmat(path, variable_names=[name])[name]
    if array.dtype == object:
        array = np.array([str(np.squeeze(cell)) for cell in array.ravel()])
    return array


def _read_parquet(path: Path, inside: str) -> NDArray[Any]:
    parquet = require("pyarrow.parquet", "parquet", path.name)
    file = parquet.ParquetFile(path)
    column = _only(list(file.schema_arrow.names), inside, path)
    values = file.read(columns=[column])[column].to_pylist()
    if values and isinstance(values[0], list):
        return np.asarray(values, dtype=np.float32)
    return np.array([clean_value(value) for value in values])


def file_of(name: str) -> str:
    """The file that a name of an array lies in, as `read_array` takes it."""
    return next((name[: name.index(f"{s}:") + len(s)] for s in ARRAY_SUFFIXES if f"{s}:" in name), name)
