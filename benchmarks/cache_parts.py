"""The rows that benchmarks.cache keeps on disk in every format: two matrices of features, made part by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.modality import MODALITIES

IMAGE, TEXT, PART, DTYPE = 1024, 512, 10_000, "float16"
WIDTHS = dict(zip(MODALITIES, (IMAGE, TEXT), strict=True))

Part = tuple[NDArray[Any], NDArray[Any]]
"""Images (n, 1024) and texts (n, 512) of the same rows."""


@dataclass(frozen=True)
class Plan:
    """How many rows there are to be, and how many a part has."""

    rows: int
    part: int = PART


def make_part(start: int, n: int) -> Part:
    """Rows `start` to `start + n`, the same in every process, none of them zero."""
    rng = np.random.default_rng(start)
    image, text = (
        np.maximum(np.abs(rng.standard_normal((n, w), np.float32)), 1e-3).astype(DTYPE) for w in WIDTHS.values()
    )
    return image, text


def make_parts(plan: Plan) -> Iterator[Part]:
    """All rows of a plan."""
    for start in range(0, plan.rows, plan.part):
        yield make_part(start, min(plan.part, plan.rows - start))


def size_on_disk(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
