"""Which fold of a cross-validation each row is in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def folds_of(labels: NDArray[np.integer], groups: NDArray[np.integer], folds: int, seed: int) -> NDArray[np.integer]:
    """(n,) fold of each row, 0 to `folds` - 1: groups stay whole, and those of each class are dealt out evenly.

    Args:
        labels: (n,) class of each row; a group counts as of its first row's.
        groups: (n,) group of each row.
        folds: how many.
        seed: of the order in which the groups of a class are dealt.
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(first))
    dealt = shuffled[np.argsort(labels[first[shuffled]], kind="stable")]
    fold = np.empty(len(first), np.intp)
    fold[dealt] = np.arange(len(first)) % folds
    return fold[group]
