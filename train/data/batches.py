"""Training rows in memory, and the order in which an epoch takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from huse.features.modality import Index, Pair, Side
from huse.features.rows import Rows
from huse.train.data.groups import content_numbers

Numbers = NDArray[np.integer]

NO_LABEL = -1
"""Number of the class of a row that has no label."""


@dataclass(frozen=True)
class Moments:
    """What the columns of some features are like.

    Attributes:
        mean: (d,).
        variance: (d,).
        filled: (d,) share of the values that are not zero; 1 where nothing is known.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    filled: NDArray[np.float64]

    def deviation(self) -> NDArray[np.float64]:
        """(d,) what to divide each column by.

        A dense column gets variance 1. In a sparse one the values that are there do, since variance 1 of all would
        make the rarest words the loudest. A column that never changes says nothing, and what it has in other rows
        would meet weights that were never trained: it is divided by so much that nothing is left of it.
        """
        overall = float(np.mean(self.variance + self.mean**2)) or 1.0
        spread = np.sqrt(self.variance / np.maximum(self.filled, 1e-12))
        return np.where(self.variance > 1e-12 * self.mean**2, spread, SILENT * np.sqrt(overall))


SILENT = 1e6
"""Deviation of a column that never changes, in multiples of the others'."""


PART = 1 << 16
"""Rows that are widened to float64 at a time."""


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """Rows ready to train on, all in memory.

    Attributes:
        image: features (n, Di) of the images, in the type that the store has them.
        text: features (n, Dt) of the texts.
        labels: (n,) class numbers; `NO_LABEL` for none, and for a class that is not among the trained ones.
        content: (n,) for each modality, a number that rows of equal content share; anything where a row has none.
    """

    image: Side
    text: Side
    labels: NDArray[np.int32]
    content: Pair[NDArray[np.int32]]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(cls, rows: Rows, classes: list[str]) -> TrainingRows:
        """The rows with their labels as numbers into `classes`."""
        number = {label: i for i, label in enumerate(classes)}
        labels = np.array([number.get(label, NO_LABEL) for label in rows.label], np.int32)
        content = rows.modalities.map(lambda its: content_numbers(its.digest))
        return cls(image=rows.image, text=rows.text, labels=labels, content=content)

    @classmethod
    def empty(cls, n: int, widths: Pair[int], dtype: np.dtype[np.floating]) -> TrainingRows:
        """N rows of zeros, to be filled."""
        sides = widths.map(lambda width: Side.zeros(n, width, dtype))
        content = Pair.by_name(lambda _: np.zeros(n, np.int32))
        return cls(image=sides.image, text=sides.text, labels=np.zeros(n, np.int32), content=content)

    @classmethod
    def joined(cls, parts: Sequence[TrainingRows]) -> TrainingRows:
        """Several parts as one, in order."""
        return cls(
            image=Side.joined([part.image for part in parts]),
            text=Side.joined([part.text for part in parts]),
            labels=np.concatenate([part.labels for part in parts]),
            content=Pair.by_name(lambda m: np.concatenate([part.content.of(m) for part in parts])),
        )

    @property
    def modalities(self) -> Pair[Side]:
        """Images and texts as a pair."""
        return Pair(image=self.image, text=self.text)

    @property
    def present(self) -> Pair[NDArray[np.bool_]]:
        """(n,) for each modality, which rows have it."""
        return self.modalities.map(lambda side: side.present)

    def dimension(self, modality: str) -> int:
        """Length of the feature vectors of a modality; 0 when there are none."""
        return self.modalities.of(modality).dimension

    def take(self, rows: Index) -> TrainingRows:
        """The rows of some numbers, a mask or a slice; a slice copies nothing."""
        return TrainingRows(
            image=self.image.part(rows),
            text=self.text.part(rows),
            labels=self.labels[rows],
            content=self.content.map(lambda numbers: numbers[rows]),
        )

    def put(self, index: Index, rows: TrainingRows) -> None:
        """Writes rows over those of some numbers, a mask or a slice."""
        self.image.put(index, rows.image)
        self.text.put(index, rows.text)
        self.labels[index] = rows.labels
        for modality, numbers in self.content.items():
            numbers[index] = rows.content.of(modality)

    def moments(self, modality: str, rows: Numbers, square_root: bool) -> Moments:
        """What each column is like over those of the rows that have the modality; see `feature_moments`."""
        side = self.modalities.of(modality)
        there = rows[side.present[rows]]
        parts = (side.vectors[there[i : i + PART]] for i in range(0, max(len(there), 1), PART))
        return feature_moments(parts, square_root)

    def windows(
        self, rows: Numbers, size: int, rng: np.random.Generator, draws: NDArray[np.float64] | None
    ) -> Iterator[tuple[TrainingRows, Numbers]]:
        """The whole, once, with the order of an epoch; see `TrainingData`."""
        del size  # the one window is the last
        order = rng.permutation(len(rows)) if draws is None else rng.choice(len(rows), len(rows), p=draws)
        yield self, rows[order]


class TrainingData(Protocol):
    """Rows to train on, in memory (`TrainingRows`) or on disk (`StreamedRows`)."""

    @property
    def labels(self) -> NDArray[np.int32]:
        """(n,) class numbers."""

    def __len__(self) -> int: ...

    def dimension(self, modality: str) -> int:
        """Length of the feature vectors of a modality; 0 when there are none."""

    def take(self, rows: Numbers) -> TrainingRows:
        """The rows of some numbers, in memory."""

    def moments(self, modality: str, rows: Numbers, square_root: bool) -> Moments:
        """What each column is like over those of the rows that have the modality; see `feature_moments`."""

    def windows(
        self, rows: Numbers, size: int, rng: np.random.Generator, draws: NDArray[np.float64] | None
    ) -> Iterator[tuple[TrainingRows, Numbers]]:
        """One epoch as windows: rows in memory, and the order in which to take them.

        Args:
            rows: numbers of the rows to train on.
            size: batch size; every window but the last has a multiple of it.
            rng: the order's source of randomness.
            draws: probability of each of `rows`; they are then drawn with replacement. None takes each once.
        """


def with_texts(data: TrainingRows, vectors: NDArray[np.floating], labels: NDArray[np.int32]) -> TrainingRows:
    """Rows and, after them, rows that have a text (m, Dt) and a label (m,) but no image."""
    image = Side.zeros(len(vectors), data.image.dimension, data.image.vectors.dtype)
    text = Side(vectors.astype(data.text.vectors.dtype), np.ones(len(vectors), bool))
    content = Pair.by_name(lambda _: np.full(len(vectors), -1, np.int32))
    return TrainingRows.joined([data, TrainingRows(image=image, text=text, labels=labels, content=content)])


def signed_square_root(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """sign(x) sqrt(|x|) of every value, as the towers take it of images."""
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


def feature_moments(parts: Iterable[NDArray[np.floating]], square_root: bool) -> Moments:
    """What the columns of several (n, d) arrays are like, as if they were one.

    Args:
        parts: the arrays; at least one, which may be empty.
        square_root: take the signed square root of every value first.
    """
    count, mean, squares, filled = 0, np.zeros(1), np.zeros(1), np.zeros(1)
    for part in parts:
        values = part.astype(np.float32)
        if square_root:
            values = signed_square_root(values)
        if not len(values):
            mean, squares, filled = (np.zeros(values.shape[1]) + value for value in (mean, squares, filled))
            continue
        wide = values.astype(np.float64)
        # the update of Chan, Golub and LeVeque (1979), which does not cancel
        own, total = wide.mean(axis=0), count + len(wide)
        shift = own - mean
        squares = squares + len(wide) * wide.var(axis=0) + shift**2 * (count * len(wide) / total)
        filled = filled + np.count_nonzero(values, axis=0)
        mean, count = mean + shift * (len(wide) / total), total
    if not count:
        return Moments(mean, np.ones_like(mean), np.ones_like(mean))
    return Moments(mean, squares / count, filled / count)


def class_balance(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """(n,) a probability for each row, such that every class is drawn equally often; rows without one keep their share.

    Args:
        labels: (n,) class numbers; `NO_LABEL` for none.
    """
    labeled = labels != NO_LABEL
    _, number, count = np.unique(labels[labeled], return_inverse=True, return_counts=True)
    draws = np.full(len(labels), 1.0 / max(len(labels), 1))
    draws[labeled] = np.mean(labeled) / (len(count) * count[number])
    return draws


def in_batches(order: Numbers, size: int) -> Iterator[NDArray[np.int32]]:
    """Row numbers of every batch, in order.

    All batches have the same length, so that the training step compiles once; the last is filled up from the start.

    Args:
        order: row numbers.
        size: length of a batch.
    """
    batches = -(-len(order) // size)
    yield from np.resize(order.astype(np.int32, copy=False), (batches, size))
