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


class Places:
    """The rows that have a vector of a gallery, numbered in the order of the shards.

    Args:
        there: for each shard, which of its rows have one.
        row: row i of the j-th shard, given j and i, as rows and its place in them.
    """

    def __init__(self, there: Sequence[NDArray[np.bool_]], row: Callable[[int, int], tuple[Rows, int]]) -> None:
        self._row = row
        self._places = [np.flatnonzero(mask) for mask in there]
        self._ends = np.cumsum([0, *map(len, self._places)])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def hit(self, number: int, score: float) -> Hit:
        """The row of a vector as a hit."""
        shard = int(np.searchsorted(self._ends, number, side="right")) - 1
        rows, i = self._row(shard, int(self._places[shard][number - self._ends[shard]]))
        return hit_of(rows, i, score)


def places_in_memory(shards: Sequence[Rows], gallery: str) -> Places:
    """The places of rows that are in memory."""
    return Places([those_with(rows.present, gallery) for rows in shards], lambda shard, i: (shards[shard], i))


def places_on_disk(store: Store, gallery: str) -> Places:
    """The places of rows that are read when they are asked for."""
    indices = store.shard_numbers()

    def row(shard: int, i: int) -> tuple[Rows, int]:
        shown = store.slice(indices[shard], SHOWN, i, i + 1)
        return Rows.of_columns({**Rows.empty(1, 0, 0).columns(), **shown}, []), 0

    def present(index: int) -> Pair[NDArray[np.bool_]]:
        return PRESENT.map(store.columns(index, (PRESENT.image, PRESENT.text)).__getitem__)

    return Places([those_with(present(index), gallery) for index in indices], row)
