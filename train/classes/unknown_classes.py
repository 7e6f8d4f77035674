"""Labels of rows that a model has no class for, and the classes that were probably meant."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huse.features.counted import counted

NAMED = 10
"""Unknown classes that a table names; the others are counted."""


@dataclass(frozen=True)
class UnknownClass:
    """A label that is no class of a model.

    Attributes:
        label: the label.
        rows: how many rows have it.
        similar: the class that differs from it by case, spaces or form of letters only; None when there is none.
    """

    label: str
    rows: int
    similar: str | None


def unknown_classes(labels: NDArray[np.object_], classes: list[str]) -> list[UnknownClass]:
    """The labels (n,) that are not among the classes, in alphabetical order."""
    known = set(classes)
    similar = {_folded(name): name for name in reversed(classes)}
    names, counts = np.unique(labels.astype(str), return_counts=True)
    return [
        UnknownClass(str(name), int(count), similar.get(_folded(str(name))))
        for name, count in zip(names, counts, strict=True)
        if name not in known
    ]


def unknown_lines(unknown: list[UnknownClass]) -> list[str]:
    """What to say about unknown classes, a line each; nothing when there are none."""
    if not unknown:
        return []
    rows = sum(entry.rows for entry in unknown)
    head = f"{len(unknown)} of the classes are unknown to the model; their {rows} rows count as wrong:"
    lines = [f"  {e.label!r}: {counted(e.rows, 'row')}{_hint(e.similar)}" for e in unknown[:NAMED]]
    rest = [f"  and {len(unknown) - NAMED} more"] if len(unknown) > NAMED else []
    return [head, *lines, *rest]


def _hint(similar: str | None) -> str:
    return f"; the model has {similar!r}, spell both alike" if similar else ""


def _folded(label: str) -> str:
    return "".join(unicodedata.normalize("NFKC", label).casefold().split())
