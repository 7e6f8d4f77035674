"""Arrays of MATLAB files up to version 7; SciPy reads them in a process of its own, which damaged files can crash."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from huse.features.own_process import module_command

READ, NAMES, DAMAGED = 0, 3, 4
"""What the process found: the array, other names, or nothing that can be read."""

HEADER = 116
"""Bytes of free text at the start of a file."""

MOST_BYTES = (1 << 32) - 1
"""Of an array in a file."""


def read_mat(path: Path, inside: str) -> NDArray[Any] | list[str]:
    """An array of a file, strings as such; or the names that are there, when `inside` does not tell which.

    Args:
        path: the file.
        inside: name of the array; may be empty when there is but one.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it cannot be read.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    with TemporaryDirectory() as folder:
        out = Path(folder) / "array.npy"
        command, environment = module_command("huse.features.exchange.mat")
        command += [str(path), inside, str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode == READ:
            array: NDArray[Any] = np.load(out, allow_pickle=False)
            return array
    if done.returncode == NAMES:
        names: list[str] = json.loads(done.stdout)
        return names
    raise ValueError(done.stderr if done.returncode == DAMAGED else "damaged: SciPy's reader crashed")


def write_mat(file: BinaryIO, columns: dict[str, NDArray[Any]], text: str) -> None:
    """Writes arrays, float16 as float32, and strings as cells.

    Args:
        file: an open, empty one.
        columns: by name, none of more than `MOST_BYTES`.
        text: what the file says of itself, in place of platform and date.
    """
    from scipy.io import savemat

    wide = {name: v.astype(np.float32) if v.dtype == np.float16 else v for name, v in columns.items()}
    savemat(file, {name: v.astype(object) if v.dtype.kind == "U" else v for name, v in wide.items()})
    file.seek(0)
    file.write(f"MATLAB 5.0 MAT-file, {text}".encode().ljust(HEADER))


def _read_here(path: str, inside: str, out: str) -> int:
    from scipy.io import loadmat, whosmat
    from scipy.sparse import issparse

    try:
        names = [name for name, _, _ in whosmat(path)]
        if inside not in names and (inside or len(names) != 1):
            sys.stdout.write(json.dumps(names))
            return NAMES
        name = inside or names[0]
        found = loadmat(path, variable_names=[name])[name]
        array = found.toarray() if issparse(found) else found
        if array.dtype == object:
            array = np.array(["" if np.size(cell) == 0 else str(np.squeeze(cell)) for cell in array.ravel()])
        np.save(out, array, allow_pickle=False)
    except Exception as error:  # noqa: BLE001 - damaged files make SciPy raise anything
        sys.stderr.write((str(error).splitlines() or [type(error).__name__])[0])
        return DAMAGED
    return READ


if __name__ == "__main__":
    sys.exit(_read_here(*sys.argv[1:]))
