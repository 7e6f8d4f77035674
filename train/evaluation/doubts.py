"""Which given labels a model doubts: confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huse.features.rows import Rows

TOLERANCE = 1e-6
"""How far below a threshold a probability may be: float32 tells no more."""


@dataclass(frozen=True)
class Doubt:
    """A row whose given label is probably wrong.

    Attributes:
        key: of the row.
        split: of the row.
        label: its given label path.
        probability: of that label.
        suggested: the label path that it probably ought to have.
        suggested_probability: of that one.
        caption: its text.
        uri: its image.
    """

    key: str
    split: str
    label: str
    probability: float
    suggested: str
    suggested_probability: float
    caption: str
    uri: str


@dataclass(frozen=True)
class Doubts:
    """The doubted rows of those that were judged.

    Attributes:
        found: most doubted first.
        judged: rows whose probabilities are of towers that were not trained on them.
        trained_on: rows that were not judged, as the model was trained on them.
    """

    found: list[Doubt]
    judged: int
    trained_on: int


def doubts_of(
    rows: Rows, classes: list[str], probabilities: NDArray[np.floating], judged: NDArray[np.bool_], trained_on: int
) -> Doubts:
    """The doubted ones of some rows.

    Args:
        rows: n rows.
        classes: K label paths.
        probabilities: (n, K) of towers that were not trained on the rows that are judged.
        judged: (n,) which rows to judge; their labels are among the classes.
        trained_on: how many are not judged, as the model was trained on them.
    """
    number = {label: i for i, label in enumerate(classes)}
    asked = np.flatnonzero(judged)
    labels = np.array([number[label] for label in rows.label[asked]], np.intp)
    found, suggested = doubted(labels, probabilities[asked])
    doubts = [
        Doubt(
            key=str(rows.key[i]),
            split=str(rows.split[i]),
            label=str(rows.label[i]),
            probability=round(float(probabilities[i, number[rows.label[i]]]), 6),
            suggested=classes[j],
            suggested_probability=round(float(probabilities[i, j]), 6),
            caption=str(rows.caption[i]),
            uri=str(rows.uri[i]),
        )
        for i, j in zip(asked[found], suggested, strict=True)
    ]
    return Doubts(doubts, len(asked), trained_on)


def doubted(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows whose label is probably wrong, most doubted first, and the class that is suggested for each.

    The threshold of a class is the mean probability that the rows of this label have for it (eq. 2), so that a class
    which the model is rarely sure of is not expected to be. What a row is confidently of is the most probable of the
    classes that reach their thresholds (eq. 1). A row is doubted where that is not its label, and its label is not the
    most probable class either; the less probable its label, the more.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, K), of a model that was not trained on these rows.
    """
    if not len(labels):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    own = probabilities[np.arange(len(labels)), labels]
    count = np.bincount(labels, minlength=probabilities.shape[1])
    mean = np.bincount(labels, own, minlength=len(count)) / np.maximum(count, 1)
    threshold = np.where(count > 0, mean - TOLERANCE, np.inf)
    confident = np.where(probabilities >= threshold, probabilities, -1.0)
    suggested = confident.argmax(axis=1)
    wrong = (confident.max(axis=1) >= 0) & (suggested != labels) & (probabilities.argmax(axis=1) != labels)
    rows = np.flatnonzero(wrong)
    rows = rows[np.argsort(own[rows], kind="stable")]
    return rows, suggested[rows]
