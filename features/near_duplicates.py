"""Near duplicates across splits: images or texts whose cached vectors point nearly the same way, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.features.columns import DIGESTS, PRESENT
from huse.features.errors import StoreError
from huse.features.store import Store
from huse.features.unit_rows import unit_rows

MEMORY = 1 << 28
"""Bytes of vectors of a split, as float32, that are held while the larger splits are read past them."""

BLOCK = 1 << 12
"""Rows that are read at a time; a quarter as many of those that are held are compared with them at a time."""

GRID = 1e-6
"""How far apart two cosines must be to differ: float32 tells no more."""

MOST = 100

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class NearPair:
    """Two rows of different splits with nearly the same image, or text.

    Attributes:
        modality: ``image`` or ``text``.
        cosine: of their vectors, to six digits.
        rows: key, split and label of each, in order of splits.
        labels_differ: whether both have a label, and not the same.
    """

    modality: str
    cosine: float
    rows: list[tuple[str, str, str]]
    labels_differ: bool


@dataclass(frozen=True)
class NearDuplicates:
    """What `find_near_duplicates` finds.

    Attributes:
        pairs: of each modality the nearest ones, nearest first.
        count: by modality, how many pairs there are.
        rows: by modality and split, how many rows have a near duplicate in another split.
    """

    pairs: list[NearPair]
    count: dict[str, int]
    rows: dict[str, dict[str, int]]


def find_near_duplicates(store: Store, near: float, most: int = MOST, *, memory: int = MEMORY) -> NearDuplicates:
    """The images, and the texts, of different splits whose vectors have at least a cosine; equal content left out.

    Rows without a split count as ``train``. What `find_leaks` lists, rows of equal content digests, is left out, and so
    are vectors of zeros, which have no direction. The smaller of two splits is held in memory, as much of it as
    `memory` takes, while the larger is read past it; beside that a row takes a few bytes.

    Args:
        store: features or embeddings.
        near: least cosine, above 0 and at most 1.
        most: how many pairs of each modality to name.
        memory: bytes of vectors to hold; the less, the more often the larger splits are read.

    Raises:
        StoreError: `near` or `most` is out of its range, all rows are of one split, or shards are missing.
        ShardError: a shard is damaged.
    """
    if not 0 < near <= 1:
        raise StoreError(f"near={near} (--near): it must be above 0 and at most 1")
    if most < 1:
        raise StoreError(f"most={most} (--most): it must be at least 1")
    store.require_whole()
    layout = _Layout.of(store)
    if len(layout.names) < 2:
        raise StoreError(
            f"{store.path}: all rows are of split {layout.names[0]}; near duplicates are looked for across splits"
        )
    found = {
        modality: _compared(store, layout, modality, near, most, memory)
        for modality, width in store.info.widths.items()
        if width
    }
    return NearDuplicates(
        pairs=[pair for modality, its in found.items() for pair in _pairs(store, layout, modality, its)],
        count={modality: its.count for modality, its in found.items()},
        rows={modality: layout.by_split(its.near) for modality, its in found.items()},
    )


@dataclass(frozen=True)
class _Layout:
    """The rows of a store, numbered through all shards."""

    shards: list[int]
    bounds: list[int]
    names: list[str]
    split: NDArray[np.int8]

    @classmethod
    def of(cls, store: Store) -> _Layout:
        number: dict[str, int] = {}
        shards, bounds, parts = list[int](), [0], list[NDArray[np.int8]]()
        for shard in store.ahead():
            split = store.columns(shard, ("split",))["split"]
            parts.append(np.array([number.setdefault(name or "train", len(number)) for name in split], np.int8))
            shards.append(shard)
            bounds.append(bounds[-1] + len(split))
        return cls(shards, bounds, list(number), np.concatenate(parts))

    def by_split(self, rows: NDArray[np.bool_]) -> dict[str, int]:
        """How many rows of a mask each split has, in alphabetical order."""
        counts = np.bincount(self.split[rows], minlength=len(self.names)).tolist()
        return dict(sorted(zip(self.names, counts, strict=True)))

    def smallest_first(self) -> list[int]:
        """The splits by their sizes."""
        return [int(number) for number in np.argsort(np.bincount(self.split), kind="stable")]


@dataclass(frozen=True)
class _Block:
    """Rows that have a modality and a direction: their numbers, unit vectors and content digests."""

    number: Numbers
    unit: NDArray[np.float32]
    digest: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.number)

    def parts(self, size: int) -> Iterator[_Block]:
        for rows in (slice(start, start + size) for start in range(0, len(self), size)):
            yield _Block(self.number[rows], self.unit[rows], self.digest[rows])


class _Found:
    """The pairs of a modality: how many, of which rows, and the nearest ones."""

    def __init__(self, rows: int, most: int) -> None:
        self.count, self.near = 0, np.zeros(rows, bool)
        self.cosine, self.pair = np.zeros(0, np.float32), np.zeros((0, 2), np.int64)
        self._most = most

    def add(self, cosine: NDArray[np.float32], pair: Numbers) -> None:
        """Takes pairs (m, 2) in."""
        self.count += len(pair)
        self.near[pair] = True
        cosine, pair = np.concatenate([self.cosine, cosine]), np.concatenate([self.pair, pair])
        if len(cosine) > self._most:
            enough = cosine >= np.partition(cosine, -self._most)[-self._most]
            cosine, pair = cosine[enough], pair[enough]
        order = np.lexsort((pair[:, 1], pair[:, 0], -cosine))[: self._most]
        self.cosine, self.pair = cosine[order], pair[order]


def _compared(store: Store, layout: _Layout, modality: str, near: float, most: int, memory: int) -> _Found:
    """All pairs of a modality; the smaller of two splits is held, as many bytes of it as `memory`."""
    found, order = _Found(len(layout.split), most), layout.smallest_first()
    held_rows = max(1, memory // (4 * store.info.widths.of(modality)))
    size = min(BLOCK, held_rows)
    sizes = np.bincount(layout.split)[order]
    total = sum(int(rows * sizes[i + 1 :].sum()) for i, rows in enumerate(sizes))
    with tqdm(total=total, desc=f"near {modality}s", unit="pair", unit_scale=True, disable=None) as bar:
        for i, split in enumerate(order[:-1]):
            for held in _gathered(_blocks(store, layout, modality, [split], size), held_rows):
                for block in _gathered(_blocks(store, layout, modality, order[i + 1 :], size), size):
                    for part in held.parts(max(1, size // 4)):
                        _compare(part, block, near, found)
                    bar.update(len(held) * len(block))
    return found


def _compare(held: _Block, block: _Block, near: float, found: _Found) -> None:
    cosines = held.unit @ block.unit.T
    mine, other = np.nonzero(cosines >= near - GRID)
    if len(mine):
        own, its = held.digest[mine], block.digest[other]
        differ = (own != its).any(axis=1) | ~own.any(axis=1)
        mine, other = mine[differ], other[differ]
        cosine = np.minimum(np.round(cosines[mine, other], 6), 1)
        found.add(cosine, np.stack([held.number[mine], block.number[other]], axis=1))


def _blocks(store: Store, layout: _Layout, modality: str, splits: Sequence[int], size: int) -> Iterator[_Block]:
    """The rows of some splits, of at most so many rows of a shard at a time, each read when it is asked for."""
    mine = np.isin(layout.split, splits)
    bounds = dict(zip(layout.shards, pairwise(layout.bounds), strict=True))
    names = (modality, PRESENT.of(modality), DIGESTS.of(modality))
    for shard in store.ahead():
        first, end = bounds[shard]
        for start in range(first, end, size):
            stop = min(start + size, end)
            if mine[start:stop].any():
                vectors, present, digest = store.slice(shard, names, start - first, stop - first).values()
                rows = np.flatnonzero(mine[start:stop] & present & vectors.any(axis=1))
                yield _Block(rows + start, _unit(vectors[rows]), digest[rows])


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Vectors (n, D) without zeros, of length 1, whatever their lengths were."""
    values = vectors.astype(np.float32)
    values /= np.abs(values).max(axis=1, initial=0, keepdims=True)
    return unit_rows(values)


def _gathered(blocks: Iterable[_Block], least: int) -> Iterator[_Block]:
    """The blocks put together until they have at least so many rows."""
    waiting, rows = list[_Block](), 0
    for block in blocks:
        waiting.append(block)
        rows += len(block)
        if rows >= least:
            joined, waiting, rows = _joined(waiting), [], 0  # what is put together is let go of meanwhile
            yield joined
    if rows:
        yield _joined(waiting)


def _joined(blocks: Sequence[_Block]) -> _Block:
    return _Block(
        np.concatenate([block.number for block in blocks]),
        np.concatenate([block.unit for block in blocks]),
        np.concatenate([block.digest for block in blocks]),
    )


def _pairs(store: Store, layout: _Layout, modality: str, found: _Found) -> Iterator[NearPair]:
    rows = _named(store, layout, found.pair)
    for cosine, pair in zip(found.cosine, found.pair, strict=True):
        both = sorted((rows[int(number)] for number in pair), key=lambda row: row[1])
        labels = {label for *_, label in both}
        yield NearPair(modality, round(float(cosine), 6), both, len(labels - {""}) > 1)


def _named(store: Store, layout: _Layout, numbers: Numbers) -> dict[int, tuple[str, str, str]]:
    """Key, split and label of some rows, by number."""
    named = {}
    for shard, (first, end) in zip(layout.shards, pairwise(layout.bounds), strict=True):
        mine = np.unique(numbers[(numbers >= first) & (numbers < end)])
        if len(mine):
            columns = store.columns(shard, ("key", "label"))
            for number in map(int, mine):
                key, label = (str(columns[name][number - first]) for name in ("key", "label"))
                named[number] = (key, layout.names[layout.split[number]], label)
    return named
