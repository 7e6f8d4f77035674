"""Where the relevant items of queries stand among a gallery, ties counted as chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.intp]


class Ranking:
    """Where the relevant items of some queries stand when the gallery is sorted by score.

    Only scores are sorted, not the gallery itself: places follow from counting, which is several times faster.

    Args:
        scores: (q, g), higher is nearer.
        relevant: (q, g) mask.
    """

    def __init__(self, scores: NDArray[np.float32], relevant: NDArray[np.bool_]) -> None:
        self._ascending = np.sort(scores, axis=1)
        row, column = np.nonzero(relevant)
        value = scores[row, column]
        order = np.lexsort((value, row))
        self._row, self._value = row[order], value[order]
        self.total = np.bincount(row, minlength=len(scores))

    def recall(self, k: int) -> NDArray[np.float64]:
        """(q,) probability that a relevant item stands among the first k when ties are in random order."""
        cut, start, end, ahead, hits = self._at(k)
        size, drawn = end - start, cut + 1 - start
        misses = size - hits
        miss_all = np.ones(len(size))
        for i in range(cut + 1):
            miss_all *= np.where(i < drawn, np.maximum(misses - i, 0) / np.maximum(size - i, 1), 1.0)
        return np.where(ahead > 0, 1.0, 1.0 - miss_all)

    def precision(self, k: int) -> NDArray[np.float64]:
        """(q,) expected share of relevant items among the first k when ties are in random order."""
        cut, start, end, ahead, hits = self._at(k)
        return np.asarray((ahead + hits / (end - start) * (cut + 1 - start)) / k)

    def average_precision(self) -> NDArray[np.float64]:
        """(q,) expected average precision when ties are in random order (McSherry and Najork, ECIR 2008, eq. 6).

        A tied group of size t with h relevant items, from place s on (from 0), after a relevant ones, adds the sum over
        j < t of (h / t) (a + 1 + j b) / (s + 1 + j), where b = (h - 1) / (t - 1); harmonic numbers give it at once.
        """
        first = np.ones(len(self._row), bool)
        first[1:] = (self._row[1:] != self._row[:-1]) | (self._value[1:] != self._value[:-1])
        begin = np.flatnonzero(first)
        row, hits = self._row[begin], np.diff(np.append(begin, len(first)))
        ahead = np.cumsum(self.total)[row] - begin - hits
        start, end = self._tied_group(row, self._value[begin])
        size = end - start
        step = (hits - 1) / np.maximum(size - 1, 1)
        harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, self._ascending.shape[1] + 1))])
        rest = (ahead + 1 - step * (start + 1)) * (harmonic[end] - harmonic[start])
        gain = hits / size * (step * size + rest)
        summed = np.bincount(row, gain, minlength=len(self.total))
        return np.asarray(summed / np.maximum(self.total, 1))

    def _at(self, k: int) -> tuple[int, Places, Places, Places, Places]:
        """The k-th place; start and end of the tied group there; relevant items ahead of that group and in it."""
        n, g = self._ascending.shape
        cut = min(k, g) - 1
        value = self._ascending[:, g - 1 - cut]
        start, end = self._tied_group(np.arange(n), value)
        ahead = np.bincount(self._row[self._value > value[self._row]], minlength=n)
        hits = np.bincount(self._row[self._value == value[self._row]], minlength=n)
        return cut, start, end, ahead, hits

    def _tied_group(self, row: Places, value: NDArray[np.float32]) -> tuple[Places, Places]:
        """First place, and place after the last, of the items of a row that have a value; `row` ascends."""
        start, end = np.empty(len(row), np.intp), np.empty(len(row), np.intp)
        bounds = np.searchsorted(row, np.arange(len(self._ascending) + 1))
        for scores, a, b in zip(self._ascending, bounds[:-1], bounds[1:], strict=True):
            start[a:b] = len(scores) - np.searchsorted(scores, value[a:b], "right")
            end[a:b] = len(scores) - np.searchsorted(scores, value[a:b], "left")
        return start, end
