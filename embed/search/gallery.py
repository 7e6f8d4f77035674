"""What is searched: the vectors of some rows, compared with queries exactly and block by block."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.embed.files import fused_vectors
from huse.features.codes import are_codes, decode
from huse.features.companions import SLASH_IN_NAME
from huse.features.errors import QueryError
from huse.features.modality import MODALITIES, Pair
from huse.features.rows import Rows

GALLERIES = (*MODALITIES, "fused")
"""A row's image, its text, or both as one vector."""

BLOCK = 1 << 16
"""Vectors compared at a time."""

PART = 64
"""Scores of which the highest stands for all, when those that cannot be among the best are put aside."""

Vectors = NDArray[np.floating]


@dataclass(frozen=True)
class Hit:
    """A row found.

    Attributes:
        key: of the row.
        score: cosine similarity to the query, -1 to 1.
        label: its label path, or the predicted one when it has none.
        caption: its text.
        uri: its image.
    """

    key: str
    score: float
    label: str
    caption: str
    uri: str


@dataclass(frozen=True)
class Gallery:
    """Rows that queries are compared with, by one of their vectors.

    Attributes:
        rows: n rows, their vectors as they are stored.
        vectors: (n, D) unit vectors, or their codes; None where those of a row are fused when they are asked for.
        there: (n,) which rows have one.
    """

    rows: Rows
    vectors: NDArray[Any] | None
    there: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Rows, gallery: str) -> Gallery:
        """The rows with their vectors of a gallery, of `GALLERIES`."""
        vectors = None if gallery == "fused" else rows.modalities.of(gallery).vectors
        return cls(rows, vectors, those_with(rows.present, gallery))

    @cached_property
    def positions(self) -> NDArray[np.intp]:
        """Of the rows that have a vector, ascending."""
        return np.flatnonzero(self.there)

    def at(self, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """(m, D) the unit vectors of the rows at ascending positions, each of which has one."""
        if self.vectors is None:
            return fused_vectors(self.rows.take(positions).decoded())
        return decode(_taken(self.vectors, positions)).astype(np.float32, copy=False)

    def in_float32(self) -> Gallery:
        """The same, ready to be compared many times: the queries' own type, in twice the memory of float16.

        Codes, which are small, stay as they are and are decoded each time.
        """
        if any(are_codes(its.vectors) for _, its in self.rows.modalities.items()):
            return self
        return replace(self, vectors=self.at(np.arange(len(self.rows))))


Part = tuple[Gallery, NDArray[np.intp]]
"""Some rows of a gallery, by their ascending positions."""


def those_with(present: Pair[NDArray[np.bool_]], gallery: str) -> NDArray[np.bool_]:
    """(n,) which of some rows have a vector of a gallery, given which have each modality."""
    return present.image | present.text if gallery == "fused" else present.of(gallery)


def require_gallery(gallery: str) -> None:
    """Refuses a name that is not of `GALLERIES`.

    Raises:
        QueryError: the message names them.
    """
    if gallery not in GALLERIES:
        raise QueryError(f"no gallery {gallery!r}; use {', '.join(GALLERIES[:-1])} or {GALLERIES[-1]}")


def require_count(k: int) -> None:
    """Refuses to look for no row at all.

    Raises:
        QueryError: k below 1.
    """
    if k < 1:
        raise QueryError(f"k is {k}; it must be at least 1")


def shown_label(rows: Rows, i: int) -> str:
    """The label path of a row, or the predicted one."""
    return str(rows.label[i] or (rows.prediction[i] if rows.prediction is not None else ""))


def shown_labels(rows: Rows) -> NDArray[np.object_]:
    """(n,) the label path of each row, or the predicted one."""
    return rows.label if rows.prediction is None else np.where(rows.label == "", rows.prediction, rows.label)


def in_classes(rows: Rows, classes: Sequence[str]) -> NDArray[np.bool_]:
    """(n,) whether a row's label, or else its predicted one, is one of some label paths or below one; all if none."""
    if not classes:
        return np.ones(len(rows), bool)
    wanted = {as_typed(name) for name in classes}
    labels = shown_labels(rows)
    chosen = {label: not wanted.isdisjoint(map(as_typed, _paths_to(label))) for label in set(labels)}
    return np.fromiter(map(chosen.__getitem__, labels), bool, len(labels))


def classes_of(rows: Rows) -> set[str]:
    """The label paths of some rows, and those above them, as they are typed."""
    return {as_typed(path) for label in set(shown_labels(rows)) for path in _paths_to(label)}


def _paths_to(label: str) -> Iterator[str]:
    """A label path and those above it."""
    parts = label.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))


def as_typed(label: str) -> str:
    """A label path as it is typed, where a ``/`` within a name is one like any other, and one at the end is none."""
    return label.replace(SLASH_IN_NAME, "/").rstrip("/")


def hit_of(rows: Rows, i: int, score: float) -> Hit:
    """Row i as a hit."""
    return Hit(rows.key[i], score, shown_label(rows, i), rows.caption[i], rows.uri[i])


def nearest(
    galleries: Iterable[Gallery], queries: Vectors, k: int, classes: Sequence[str] = (), *, block: int = BLOCK
) -> list[list[Hit]]:
    """For each query the k rows of highest cosine similarity, nearest first, equal ones in the order of the rows.

    Args:
        galleries: the rows, such as a gallery for each shard of a store; in memory at a time are some of `block` rows
            together, or one of more, and the next.
        queries: (q, D) unit vectors.
        k: most hits a query.
        classes: label paths; other rows are left out, those of sub-classes are not.
        block: vectors that are compared at a time.

    Raises:
        QueryError: k below 1.
    """
    require_count(k)
    wanted = np.asarray(queries, np.float32)
    best: list[list[Hit]] = [[] for _ in wanted]
    for parts in _grouped(_parts(galleries, classes, block), block):
        ends = list(accumulate(len(positions) for _, positions in parts))
        scores = np.empty((len(wanted), ends[-1]), np.float32)
        for (gallery, positions), own in zip(parts, np.split(scores, ends[:-1], axis=1), strict=True):
            np.matmul(wanted, gallery.at(positions).T, out=own)
        for query, (columns, values) in enumerate(_top(scores, k, _floors(best, k))):
            found = [_hit(parts, ends, c, float(v)) for c, v in zip(columns.tolist(), values, strict=True)]
            best[query] = sorted([*best[query], *found], key=lambda hit: -hit.score)[:k]
        del parts, gallery  # frees them before the next are read
    return best


def _parts(galleries: Iterable[Gallery], classes: Sequence[str], size: int) -> Iterator[Part]:
    """The rows of some classes that have a vector, at most so many of a gallery at a time."""
    for gallery in galleries:
        positions = gallery.positions
        if classes:
            positions = positions[in_classes(gallery.rows, classes)[positions]]
        for start in range(0, len(positions), size):
            yield gallery, positions[start : start + size]


def _grouped(parts: Iterable[Part], size: int) -> Iterator[list[Part]]:
    """Parts that follow each other, as many as have galleries of at most so many rows together."""
    some: list[Part] = []
    held = 0
    for part in parts:
        if some and held + len(part[0].rows) > size:
            yield some
            some, held = [], 0
        some.append(part)
        held += len(part[0].rows)
    if some:
        yield some


def _hit(parts: Sequence[Part], ends: Sequence[int], column: int, score: float) -> Hit:
    """The row of a column of the scores of some parts, each of which ends before a column."""
    number = bisect_right(ends, column)
    gallery, positions = parts[number]
    return hit_of(gallery.rows, positions[column - ends[number]], score)  # counted from the end of the part


def _taken(vectors: NDArray[Any], positions: NDArray[np.intp]) -> NDArray[Any]:
    """The vectors at ascending positions; not copied where these follow each other."""
    first, end = (positions[0], positions[-1] + 1) if len(positions) else (0, 0)
    return vectors[first:end] if end - first == len(positions) else vectors[positions]


def _floors(best: list[list[Hit]], k: int) -> list[float]:
    """What a score must be above to be among the k best of each query."""
    return [hits[-1].score if len(hits) == k else -np.inf for hits in best]


def _top(
    scores: NDArray[np.float32], k: int, floors: list[float]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """For each query the positions of its at most k highest scores above its floor, highest first, and these scores."""
    for row, floor in zip(scores, floors, strict=True):
        bound = _reached(row, k)
        above = np.flatnonzero(row >= bound if bound > floor else row > floor)
        if len(above) > k:
            cut = np.partition(row[above], -k)[-k]
            above = above[row[above] >= cut]
        order = above[np.argsort(-row[above], kind="stable")][:k]
        yield order, row[order]


def _reached(row: NDArray[np.float32], k: int) -> float:
    """What at least k scores of a row are known to reach, or -inf: the k-th highest of the maxima of its parts."""
    parts = len(row) // PART
    if parts < k:
        return -np.inf
    maxima = row[: parts * PART].reshape(PART, parts).max(axis=0)
    return float(np.partition(maxima, -k)[-k])
