"""Vectors of length 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """(n, D) the vectors along those given, of length 1; those of zeros stay.

    scikit-learn's normalize does the same, but refuses an array of no rows, which an empty shard has.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
