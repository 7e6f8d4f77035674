"""Which rows the numbered vectors of an index belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from huse.embed.search.gallery import Hit, hit_of, those_with
from huse.features.columns import PRESENT
from huse.features.modality import Pair
from huse.features.rows import Rows
from huse.features.store import Store

SHOWN = ("key", "label", "caption", "uri", "prediction")


class Positions:
    """The rows that have a vector of a gallery, numbered in the order of the shards.

    Args:
        there: for each shard, which of its rows have one.
        row: row i of the j-th shard, given j and i, as rows and its position in them.
    """

    def __init__(self, there: Sequence[NDArray[np.bool_]], row: Callable[[int, int], tuple[Rows, int]]) -> None:
        self._row = row
        self._positions = [np.flatnonzero(mask) for mask in there]
        self._ends = np.cumsum([0, *map(len, self._positions)])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def hit(self, number: int, score: float) -> Hit:
        """The row of a vector as a hit."""
        shard = int(np.searchsorted(self._ends, number, side="right")) - 1
        rows, i = self._row(shard, int(self._positions[shard][number - self._ends[shard]]))
        return hit_of(rows, i, score)


def positions_in_memory(shards: Sequence[Rows], gallery: str) -> Positions:
    """The positions of rows that are in memory."""
    return Positions([those_with(rows.present, gallery) for rows in shards], lambda shard, i: (shards[shard], i))


def positions_on_disk(store: Store, gallery: str) -> Positions:
    """The positions of rows that are read when they are asked for."""
    numbers = store.shard_numbers()

    def row(shard: int, i: int) -> tuple[Rows, int]:
        shown = store.slice(numbers[shard], SHOWN, i, i + 1)
        return Rows.of_columns({**Rows.empty(1, 0, 0).columns(), **shown}, []), 0

    def present(number: int) -> Pair[NDArray[np.bool_]]:
        return PRESENT.map(store.columns(number, (PRESENT.image, PRESENT.text)).__getitem__)

    return Positions([those_with(present(number), gallery) for number in numbers], row)
