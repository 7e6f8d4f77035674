"""Which training rows are held out to validate on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huse.train.data.batches import NO_LABEL

Mask = NDArray[np.bool_]

LEAST_LABELED = 100
"""Rows with a label that tell epochs apart by class; the best epoch by a few is the luckiest."""


def held_out(
    labels: NDArray[np.integer], fraction: float, seed: int, most: int, groups: NDArray[np.integer]
) -> tuple[Mask, Mask]:
    """Which rows validate, and which are not trained on meanwhile, as they share content with those; two masks (n,).

    Rows with a label validate, since what counts is what is found by class; but where fewer than `LEAST_LABELED` of
    them can be held out, rows without a label do if as many of those can.

    Args:
        labels: (n,) class of each row; `NO_LABEL` for none.
        fraction: share to hold out.
        seed: of the choice.
        most: about how many may validate.
        groups: (n,) group of equal content of each row.
    """
    labeled = labels != NO_LABEL
    validates = np.zeros(len(labels), bool)
    validates[labeled] = hold_out(labels[labeled], fraction, seed, most, groups[labeled])
    others, apart = np.zeros(len(labels), bool), ~np.isin(groups, groups[labeled])
    others[apart] = hold_out(labels[apart], fraction, seed, most, groups[apart])
    validates = best_known(validates, others)
    return validates, np.isin(groups, groups[validates])


def best_known(labeled: Mask, others: Mask) -> Mask:
    """Of rows with a label and rows without one, two masks (n,), those that tell epochs apart."""
    few = labeled.sum() < LEAST_LABELED and labeled.sum() <= others.sum()
    return others if few else labeled


def hold_out(
    labels: NDArray[np.generic],
    fraction: float,
    seed: int,
    most: int | None = None,
    groups: NDArray[np.integer] | None = None,
) -> NDArray[np.bool_]:
    """Marks the rows held out for validation: a share of each class, and never all of one.

    Args:
        labels: (n,) class of each row.
        fraction: share to hold out.
        seed: of the choice.
        most: hold out no more than about this many in all; the share of each class is then smaller, and some small
            classes give a row and others none.
        groups: (n,) group of each row; a group is held out whole or not at all. By default each row is one.
    """
    if not len(labels):
        return np.zeros(0, bool)
    most = len(labels) if most is None else most
    capped = most < fraction * len(labels)
    fraction = min(fraction, most / len(labels))
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    number = np.unique(labels, return_inverse=True)[1]
    size = np.bincount(number)
    members = np.split(np.argsort(number, kind="stable"), np.cumsum(size)[:-1])
    together = _Groups(np.arange(len(labels)) if groups is None else groups)
    left = size.copy()
    for mine, (rows, wanted) in enumerate(zip(members, _wanted(size, fraction, capped), strict=True)):
        for row in rng.permutation(rows):
            if size[mine] - left[mine] >= wanted:
                break
            group = together.of(row)
            ours = np.count_nonzero(number[group] == mine)
            if held[row] or size[mine] - left[mine] + ours / 2 > wanted:
                continue
            classes, counts = (mine, 1) if len(group) == 1 else np.unique(number[group], return_counts=True)
            if (left[classes] > counts).all():
                held[group] = True
                left[classes] -= counts
    return held


def _wanted(size: NDArray[np.intp], fraction: float, capped: bool) -> list[int]:
    """How many to hold out of each of some classes, given their sizes.

    Each class's share, rounded. Where that makes another number of all than it should, as classes are small, shares
    are rounded so that those of the first classes add up: some small classes give a row, others none.
    """
    wanted, total = np.round(size * fraction), fraction * size.sum()
    if capped or (total >= LEAST_LABELED and abs(wanted.sum() - total) > total / 2):
        wanted = np.diff(np.round(np.cumsum(size) * fraction), prepend=0)
    each: list[int] = np.minimum(wanted, size - 1).astype(int).tolist()
    return each


class _Groups:
    """The members of groups, found by any of them."""

    def __init__(self, groups: NDArray[np.integer]) -> None:
        self._groups = groups
        self._order = np.argsort(groups, kind="stable")
        self._sorted = groups[self._order]

    def of(self, row: int) -> NDArray[np.intp]:
        """The rows of the group of a row."""
        first, end = (np.searchsorted(self._sorted, self._groups[row], side) for side in ("left", "right"))
        return self._order[first:end]
