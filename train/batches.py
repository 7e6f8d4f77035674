"""Training rows as arrays, and the order in which an epoch takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huse.features.rows import Rows


@dataclass(frozen=True)
class TrainingRows:
    """Rows ready to train on.

    Attributes:
        image: (n, Di) float32 features.
        text: (n, Dt) float32 features.
        has_image: (n,) mask.
        has_text: (n,) mask.
        labels: (n,) class numbers; -1 for a class that is not among the trained ones.
    """

    image: NDArray[np.float32]
    text: NDArray[np.float32]
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
        image, text = rows.image.astype(np.float32), rows.text.astype(np.float32)
        return cls(image, text, rows.has_image, rows.has_text, labels)

    def with_texts(self, vectors: NDArray[np.float32], labels: NDArray[np.int32]) -> TrainingRows:
        """These rows and, after them, rows that have a text (m, Dt) and a label (m,) but no picture."""
        m = len(vectors)
        return TrainingRows(
            np.concatenate([self.image, np.zeros((m, self.image.shape[1]), np.float32)]),
            np.concatenate([self.text, vectors]),
            np.concatenate([self.has_image, np.zeros(m, bool)]),
            np.concatenate([self.has_text, np.ones(m, bool)]),
            np.concatenate([self.labels, labels]),
        )


def class_balance(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """(n,) a probability for each row, such that every class is drawn equally often."""
    _, number, count = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (len(count) * count[number]))


def epoch_batches(
    n: int, batch_size: int, rng: np.random.Generator, probabilities: NDArray[np.float64] | None = None
) -> Iterator[NDArray[np.int32]]:
    """Row numbers of every batch of one epoch.

    Every row stands in the epoch at least once, unless rows are drawn by probabilities. All batches have the same
    length, so that the training step compiles once; the last is filled up with rows from the epoch's start.

    Args:
        n: number of rows.
        batch_size: wanted length; a batch is never longer than n.
        rng: the order's source of randomness.
        probabilities: (n,) chance of each row, summing to 1; rows are then drawn with replacement.
    """
    size = min(batch_size, n)
    order = rng.permutation(n) if probabilities is None else rng.choice(n, n, p=probabilities)
    order = order.astype(np.int32)
    for start in range(0, n, size):
        yield np.concatenate([order[start : start + size], order[: max(0, start + size - n)]])


def hold_out(labels: NDArray[np.generic], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Marks the rows held out for validation: a share of each class, and never all of one.

    Args:
        labels: (n,) class of each row.
        fraction: share to hold out.
        seed: of the choice.
    """
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        count = min(round(len(members) * fraction), len(members) - 1)
        held[members[:count]] = True
    return held
