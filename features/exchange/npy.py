"""NumPy's array files written row by row, so that a full disk is an error of plain writing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@contextmanager
def writing_rows(path: Path, shape: tuple[int, int], dtype: str) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Writes a .npy file of a known shape; yields what takes the next rows.

    Args:
        path: the file.
        shape: rows and columns in all.
        dtype: of the file.

    Raises:
        ValueError: at the end, when there were more or fewer rows.
    """
    kind, rows = np.dtype(dtype), 0
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)

        def write(part: NDArray[Any]) -> None:
            nonlocal rows
            file.write(np.ascontiguousarray(part, kind).data if part.size else b"")
            rows += len(part)

        yield write
    if rows != shape[0]:
        raise ValueError(f"{path}: {rows} rows, not {shape[0]}")
