"""Training rows that stay on disk: an epoch reads them window by window, each window mixed from all over the store."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from huse.features.modality import MODALITIES, Pair, Side
from huse.features.store import Store
from huse.train.data.batches import Moments, Numbers, TrainingRows, feature_moments
from huse.train.data.catalog import Catalog

TEXTS = np.iinfo(np.int32).max
"""Number of the shard that the texts in memory count as."""

BLOCK = 1024
"""Rows read at a time, which lie next to each other; blocks are what a window is mixed from."""

WINDOW_BLOCKS = 8
"""Blocks that a window has at least."""

PART_VALUES = 1 << 20
"""Values of a column that are widened to float64 at a time."""


def blocks_of(shard: NDArray[np.integer], position: NDArray[np.integer], size: int) -> list[slice]:
    """Ascending rows in blocks that are one read each: of one shard, from `size` places of it.

    Args:
        shard: (n,) shard of each row.
        position: (n,) number of each row in its shard.
        size: places a block.
    """
    region = position // size
    edges = np.flatnonzero((shard[1:] != shard[:-1]) | (region[1:] != region[:-1])) + 1
    return [slice(start, stop) for start, stop in pairwise([0, *edges.tolist(), len(shard)])]


def plan_windows(blocks: list[slice], window: int, rng: np.random.Generator) -> list[list[slice]]:
    """The windows of one epoch, each a list of blocks.

    Blocks are put in random order and dealt into windows of nearly equal length, so that every window has rows of many
    shards, and every epoch has other windows.

    Args:
        blocks: of all rows.
        window: most rows a window, but for a part of a block.
        rng: the order's source of randomness.
    """
    order = rng.permutation(len(blocks))
    ends = np.cumsum([blocks[i].stop - blocks[i].start for i in order])
    windows = -(-int(ends[-1]) // window)
    cuts = np.searchsorted(ends, np.arange(1, windows) * ends[-1] / windows)
    return [[blocks[i] for i in part] for part in np.split(order, cuts) if len(part)]


@dataclass(frozen=True)
class StreamedRows:
    """Rows of a store that are read when they are needed; attributes and methods as in `TrainingData`.

    Attributes:
        store: where the vectors are.
        texts: rows in memory that come after those of the store, such as class names.
        shard: (n,) shard of each row, ascending; `TEXTS` for the texts.
        position: (n,) number of each row in its shard, or among the texts.
        present: (n,) for each modality, which rows have it.
        labels: (n,) class numbers.
        content: (n,) for each modality, a number that rows of equal content share.
        window: most rows a window.
        block: most rows that are read at a time.
        part_values: values of a column that are widened at a time.
    """

    store: Store
    texts: TrainingRows
    shard: NDArray[np.int32]
    position: NDArray[np.int32]
    present: Pair[NDArray[np.bool_]]
    labels: NDArray[np.int32]
    content: Pair[NDArray[np.int32]]
    window: int
    block: int = BLOCK
    part_values: int = PART_VALUES

    @classmethod
    def of(cls, store: Store, catalog: Catalog, texts: TrainingRows, window: int) -> StreamedRows:
        """The rows of a catalog and, after them, some texts."""
        m = len(texts)
        return cls(
            store,
            texts,
            shard=np.append(catalog.shard, np.full(m, TEXTS, np.int32)),
            position=np.append(catalog.position, np.arange(m, dtype=np.int32)),
            present=Pair.by_name(lambda m: np.append(catalog.present.of(m), texts.present.of(m))),
            labels=np.append(catalog.label, texts.labels),
            content=Pair.by_name(lambda m: np.append(catalog.content.of(m), texts.content.of(m))),
            window=window,
        )

    def __len__(self) -> int:
        return len(self.labels)

    def dimension(self, modality: str) -> int:
        """Length of the feature vectors of a modality."""
        return self.texts.dimension(modality)

    def take(self, rows: Numbers) -> TrainingRows:
        """The rows of some numbers, read into memory."""
        found, order = self._empty(len(rows)), np.argsort(rows, kind="stable")
        for mine in self._blocks(rows[order], self.block):
            at = order[mine]
            found.put(at, self._read_block(rows[at]))
        return found

    def moments(self, modality: str, rows: Numbers, square_root: bool) -> Moments:
        """What each column is like; reads the column of every shard, a part at a time, and verifies it."""
        there = np.sort(rows[self.present.of(modality)[rows]])
        size = max(1, self.part_values // max(self.dimension(modality), 1))
        parts = (self._read_columns((modality,), there[mine])[0] for mine in self._blocks(there, size))
        return feature_moments(chain([self.texts.modalities.of(modality).vectors[:0]], parts), square_root)

    def windows(
        self, rows: Numbers, size: int, rng: np.random.Generator, draws: NDArray[np.float64] | None
    ) -> Iterator[tuple[TrainingRows, Numbers]]:
        """One epoch; see `TrainingData`. The next window is read while one is trained on."""
        times = None if draws is None else np.bincount(rng.choice(len(rows), len(rows), p=draws), minlength=len(rows))
        if times is not None:
            times = times[np.argsort(rows, kind="stable")]
        rows = np.sort(rows)
        room = max(self.window - size, 1)  # beside what the last window leaves, which is less than a batch
        block = min(self.block, -(-room // WINDOW_BLOCKS))
        plan = plan_windows(self._blocks(rows, block), max(room - block, 1), rng)
        left = self._empty(0)
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

    def _blocks(self, rows: Numbers, size: int) -> list[slice]:
        """Ascending rows in blocks, see `blocks_of`."""
        return blocks_of(self.shard[rows], self.position[rows], size) if len(rows) else []

    def _empty(self, n: int) -> TrainingRows:
        return TrainingRows.empty(n, Pair.by_name(self.dimension), self.texts.image.vectors.dtype)

    def _read(self, blocks: list[Numbers], room: int) -> TrainingRows:
        """The rows of some blocks, behind room for others; nothing is in memory twice."""
        window, done = self._empty(room + sum(map(len, blocks))), room
        for block in blocks:
            window.put(slice(done, done + len(block)), self._read_block(block))
            done += len(block)
        return window

    def _read_block(self, rows: Numbers) -> TrainingRows:
        """A block of rows."""
        image, text = self._read_columns(MODALITIES, rows)
        present = self.present.map(lambda has: has[rows])
        return TrainingRows(
            image=Side(image, present.image),
            text=Side(text, present.text),
            labels=self.labels[rows],
            content=self.content.map(lambda numbers: numbers[rows]),
        )

    def _read_columns(self, names: tuple[str, ...], rows: Numbers) -> list[NDArray[np.floating]]:
        """Vectors of a block of rows."""
        index, position = int(self.shard[rows[0]]), self.position[rows]
        if index == TEXTS:
            return [self.texts.modalities.of(name).vectors[position] for name in names]
        first, end = int(position[0]), int(position[-1]) + 1
        found = self.store.slice(index, names, first, end)
        return [found[name][position - first] for name in names]


def _joined(left: TrainingRows, read: TrainingRows, room: int) -> TrainingRows:
    """Fewer than `room` rows, and those read behind that room, in the memory of the latter."""
    start = room - len(left)
    read.put(slice(start, room), left)
    return read.take(slice(start, None))


def _repeated(left: int, n: int, times: Numbers | None) -> Numbers:
    """Numbers 0 to n, those after the first `left` as often as they were drawn; each once when nothing was drawn."""
    numbers = np.arange(n, dtype=np.int32)
    return numbers if times is None else np.repeat(numbers, np.concatenate([np.ones(left, np.intp), times]))
