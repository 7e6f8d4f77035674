"""Training rows in memory, and the order in which an epoch takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from huse.features.rows import Rows

Numbers = NDArray[np.integer]
Moments = tuple[NDArray[np.float64], NDArray[np.float64]]


PART = 1 << 16
"""Rows that are widened to float64 at a time."""


@dataclass(frozen=True)
class TrainingRows:
    """Rows ready to train on, all in memory.

    Attributes:
        image: (n, Di) features, in the type that the store has them.
        text: (n, Dt) features.
        has_image: (n,) mask.
        has_text: (n,) mask.
        labels: (n,) class numbers; -1 for a class that is not among the trained ones.
    """

    image: NDArray[np.floating]
    text: NDArray[np.floating]
    has_image: NDArray[np.bool_]
    has_text: NDArray[np.bool_]
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(cls, rows: Rows, classes: list[str]) -> TrainingRows:
        """The rows with their labels as numbers into `classes`."""
        number = {label: i for i, label in enumerate(classes)}
        labels = np.array([number.get(label, -1) for label in rows.label], np.int32)
        return cls(rows.image, rows.text, rows.has_image, rows.has_text, labels)

    @classmethod
    def empty(cls, n: int, image_dim: int, text_dim: int, dtype: np.dtype[np.floating]) -> TrainingRows:
        """N rows of zeros, to be filled."""
        image, text = np.zeros((n, image_dim), dtype), np.zeros((n, text_dim), dtype)
        return cls(image, text, np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, np.int32))

    def dimension(self, modality: str) -> int:
        """Length of the feature vectors of a modality; 0 when there are none."""
        return int(getattr(self, modality).shape[1])

    def take(self, rows: Numbers) -> TrainingRows:
        """The rows of some numbers."""
        return TrainingRows(
            *(getattr(self, name)[rows] for name in ("image", "text", "has_image", "has_text", "labels"))
        )

    def moments(self, modality: str, rows: Numbers, square_root: bool) -> Moments:
        """Mean and variance of each column over those of the rows that have the modality; see `feature_moments`."""
        there = rows[getattr(self, f"has_{modality}")[rows]]
        parts = (getattr(self, modality)[there[i : i + PART]] for i in range(0, max(len(there), 1), PART))
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
        """Mean and variance of each column over those of the rows that have the modality; see `feature_moments`."""

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
    """Rows and, after them, rows that have a text (m, Dt) and a label (m,) but no picture."""
    m = len(vectors)
    return TrainingRows(
        np.concatenate([data.image, np.zeros((m, data.image.shape[1]), data.image.dtype)]),
        np.concatenate([data.text, vectors.astype(data.text.dtype)]),
        np.concatenate([data.has_image, np.zeros(m, bool)]),
        np.concatenate([data.has_text, np.ones(m, bool)]),
        np.concatenate([data.labels, labels]),
    )


def feature_moments(parts: Iterable[NDArray[np.floating]], square_root: bool) -> Moments:
    """Mean and variance (d,) of the columns of several (n, d) arrays, as if they were one.

    Args:
        parts: the arrays; at least one, which may be empty.
        square_root: take the signed square root of every value first.
    """
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for part in parts:
        values = part.astype(np.float32)
        if square_root:
            values = np.sign(values) * np.sqrt(np.abs(values))
        if not len(values):
            mean, squares = (np.zeros(values.shape[1]) + value for value in (mean, squares))
            continue
        wide = values.astype(np.float64)
        # the update of Chan, Golub and LeVeque (1979), which does not cancel
        own, total = wide.mean(axis=0), count + len(wide)
        shift = own - mean
        squares = squares + len(wide) * wide.var(axis=0) + shift**2 * (count * len(wide) / total)
        mean, count = mean + shift * (len(wide) / total), total
    return mean, squares / count if count else np.ones_like(mean)


def class_balance(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """(n,) a probability for each row, such that every class is drawn equally often."""
    _, number, count = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (len(count) * count[number]))


def in_batches(order: Numbers, size: int) -> Iterator[NDArray[np.int32]]:
    """Row numbers of every batch, in order.

    All batches have the same length, so that the training step compiles once; the last is filled up from the start.

    Args:
        order: row numbers.
        size: length of a batch.
    """
    batches = -(-len(order) // size)
    yield from np.resize(order.astype(np.int32), (batches, size))


def hold_out(labels: NDArray[np.generic], fraction: float, seed: int, most: int | None = None) -> NDArray[np.bool_]:
    """Marks the rows held out for validation: a share of each class, and never all of one.

    Args:
        labels: (n,) class of each row.
        fraction: share to hold out.
        seed: of the choice.
        most: hold out no more than about this many in all; the share of each class is then smaller.
    """
    if most is not None and len(labels):
        fraction = min(fraction, most / len(labels))
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    number = np.unique(labels, return_inverse=True)[1]
    ends = np.cumsum(np.bincount(number))
    for members in np.split(np.argsort(number, kind="stable"), ends[:-1]):
        count = min(round(len(members) * fraction), len(members) - 1)
        held[rng.permutation(members)[: max(count, 0)]] = True
    return held
