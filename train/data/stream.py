"""Training rows that stay on disk: an epoch reads them window by window, each window mixed from all over the store."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from huse.features.modality import MODALITIES, Pair, Side
from huse.features.store import Store
from huse.train.data.batches import Moments, Numbers, TrainingRows, feature_moments
from huse.train.data.catalog import Catalog

BLOCK = 1024
"""Rows read at a time, which lie next to each other; blocks are what a window is mixed from."""


def plan_windows(shard: NDArray[np.integer], block: int, window: int, rng: np.random.Generator) -> list[list[slice]]:
    """The windows of one epoch, each a list of blocks: slices of rows that lie in one shard.

    Blocks are put in random order and dealt into windows of nearly equal length, so that every window has rows of many
    shards, and every epoch has other windows.

    Args:
        shard: (n,) shard of each row, rows of one shard together.
        block: most rows a block.
        window: most rows a window, but for a part of a block.
        rng: the order's source of randomness.
    """
    edges = np.flatnonzero(np.diff(shard, prepend=-1, append=-1))
    blocks = [
        slice(start, min(start + block, end)) for first, end in pairwise(edges) for start in range(first, end, block)
    ]
    order = rng.permutation(len(blocks))
    ends = np.cumsum([blocks[i].stop - blocks[i].start for i in order])
    windows = -(-len(shard) // window)
    cuts = np.searchsorted(ends, np.arange(1, windows) * len(shard) / windows)
    return [[blocks[i] for i in part] for part in np.split(order, cuts) if len(part)]


@dataclass(frozen=True)
class StreamedRows:
    """Rows of a store that are read when they are needed; attributes and methods as in `TrainingData`.

    Attributes:
        store: where the vectors are.
        catalog: the rows, in the order of their shards.
        texts: texts that come after them, such as class names; in memory.
        labels: (n,) class numbers of both together.
        present: (n,) for each modality, which of both together have it.
        window: most rows a window.
    """

    store: Store
    catalog: Catalog
    texts: TrainingRows
    labels: NDArray[np.int32]
    present: Pair[NDArray[np.bool_]]
    window: int

    def __len__(self) -> int:
        return len(self.labels)

    def dimension(self, modality: str) -> int:
        """Length of the feature vectors of a modality."""
        return self.texts.dimension(modality)

    def take(self, rows: Numbers) -> TrainingRows:
        """The rows of some numbers, read into memory."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        shard = self._shard(ascending)
        parts = np.split(ascending, np.flatnonzero(np.diff(shard)) + 1)
        read = TrainingRows.joined([self.texts.take(np.arange(0)), *(self._read_block(p) for p in parts if len(p))])
        return read.take(np.argsort(order))

    def moments(self, modality: str, rows: Numbers, square_root: bool) -> Moments:
        """What each column is like; reads the column of every shard, one at a time, and verifies it."""
        there = np.sort(rows[self.present.of(modality)[rows]])
        stored, extra = there[there < len(self.catalog)], there[there >= len(self.catalog)]

        def parts() -> Iterator[NDArray[np.floating]]:
            yield self.texts.modalities.of(modality).vectors[extra - len(self.catalog)]
            shard = self.catalog.shard[stored]
            for mine in np.split(stored, np.flatnonzero(shard[1:] != shard[:-1]) + 1):
                if len(mine):
                    index = int(self.catalog.shard[mine[0]])
                    yield self.store.columns(index, (modality,))[modality][self.catalog.place[mine]]

        return feature_moments(parts(), square_root)

    def windows(
        self, rows: Numbers, size: int, rng: np.random.Generator, draws: NDArray[np.float64] | None
    ) -> Iterator[tuple[TrainingRows, Numbers]]:
        """One epoch; see `TrainingData`. The next window is read while one is trained on."""
        times = None if draws is None else np.bincount(rng.choice(len(rows), len(rows), p=draws), minlength=len(rows))
        if (rows[1:] < rows[:-1]).any():
            order = np.argsort(rows, kind="stable")
            rows, times = rows[order], None if times is None else times[order]
        plan = plan_windows(self._shard(rows), BLOCK, self.window, rng)
        left = self.texts.take(np.arange(0))
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self._read, [rows[part] for part in plan[0]], size)
            for i, parts in enumerate(plan):
                read = coming.result()
                if i + 1 < len(plan):
                    coming = reader.submit(self._read, [rows[part] for part in plan[i + 1]], size)
                now = _joined(left, read, size)
                again = None if times is None else np.concatenate([times[part] for part in parts])
                drawn = rng.permutation(_repeated(len(left), len(now), again))
                whole = len(drawn) if i + 1 == len(plan) else len(drawn) // size * size
                left = now.take(drawn[whole:])
                del read  # the window is held by whoever trains on it, and by nobody else
                if whole:
                    yield now, drawn[:whole]

    def _shard(self, rows: Numbers) -> Numbers:
        """Shard of each row; the texts count as one more."""
        shard = np.append(self.catalog.shard, np.full(len(self.texts), np.iinfo(np.int32).max, np.int32))
        return np.asarray(shard[rows])

    def _read(self, blocks: list[Numbers], room: int) -> TrainingRows:
        """The rows of some blocks, behind room for others; nothing is in memory twice."""
        widths = self.texts.modalities.map(lambda side: side.dimension)
        window = TrainingRows.empty(room + sum(map(len, blocks)), widths, self.texts.image.vectors.dtype)
        done = room
        for block in blocks:
            window.put(slice(done, done + len(block)), self._read_block(block))
            done += len(block)
        return window

    def _read_block(self, rows: Numbers) -> TrainingRows:
        """Rows of one shard, or of the texts."""
        if rows[0] >= len(self.catalog):
            return self.texts.take(rows - len(self.catalog))
        index, place = int(self.catalog.shard[rows[0]]), self.catalog.place[rows]
        first, end = int(place[0]), int(place[-1]) + 1
        columns = self.store.slice(index, MODALITIES, first, end)
        sides = Pair.by_name(lambda m: Side(columns[m][place - first], self.present.of(m)[rows]))
        return TrainingRows(image=sides.image, text=sides.text, labels=self.labels[rows])


def _joined(left: TrainingRows, read: TrainingRows, room: int) -> TrainingRows:
    """Fewer than `room` rows, and those read behind that room, in the memory of the latter."""
    start = room - len(left)
    read.put(slice(start, room), left)
    return read.take(slice(start, None))


def _repeated(left: int, n: int, times: Numbers | None) -> Numbers:
    """Numbers 0 to n, those after the first `left` as often as they were drawn; each once when nothing was drawn."""
    if times is None:
        return np.arange(n)
    return np.repeat(np.arange(n), np.concatenate([np.ones(left, np.intp), times]))
