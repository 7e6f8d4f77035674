"""Accuracy and retrieval metrics: pure functions over arrays, exact, in blocks, ties counted as chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

KS = (1, 5, 10)
BLOCK_ELEMENTS = 1 << 24
"""Similarities held at a time: 64 MiB of float32, and a few such arrays beside it while ranking."""

TIE = 1e-6
"""Similarities are compared on this grid: equal vectors do not always give products equal to the last bit."""


def accuracy(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Share of rows whose highest score is at their label.

    Args:
        scores: (n, K) logits or probabilities.
        labels: (n,) class numbers; -1, a class the model does not know, is always wrong.

    Returns:
        Between 0 and 1; nan for no rows.
    """
    if not len(labels):
        return float("nan")
    return float(np.mean(scores.argmax(axis=1) == labels))


def retrieval_metrics(
    query: NDArray[np.floating],
    gallery: NDArray[np.floating],
    query_labels: NDArray[np.generic],
    gallery_labels: NDArray[np.generic],
    query_keys: NDArray[np.generic] | None = None,
    gallery_keys: NDArray[np.generic] | None = None,
    ks: tuple[int, ...] = KS,
) -> dict[str, float]:
    """Recall at K and mean average precision of a ranking by cosine similarity.

    A hit at K is an item of the query's class among the K nearest (paper 4.3), over all queries. Average precision is
    over the full ranking and its mean over the queries that have an item of their class to find. Items at equal
    distance count as if in random order, so constant embeddings score chance.

    Args:
        query: (q, D) unit vectors.
        gallery: (g, D) unit vectors.
        query_labels: (q,) classes.
        gallery_labels: (g,) classes.
        query_keys: (q,) keys; with `gallery_keys`, items of the query's own key are left out of its ranking.
        gallery_keys: (g,) keys.
        ks: the K of recall at K.

    Returns:
        ``r_at_K`` for each K, and ``map``; nan when there is no query or nothing to find.
    """
    if not len(query) or not len(gallery):
        return {**{f"r_at_{k}": float("nan") for k in ks}, "map": float("nan")}
    recalls: dict[int, list[NDArray[np.float64]]] = {k: [] for k in ks}
    precisions: list[NDArray[np.float64]] = []
    for rows, scores in _score_blocks(query, gallery):
        relevant = query_labels[rows, None] == gallery_labels[None, :]
        scores, relevant = _without_own(scores, relevant, query_keys, gallery_keys, rows)
        ranking = _Ranking(scores)
        ranked = ranking.in_order(relevant)
        for k in ks:
            recalls[k].append(ranking.recall(ranked, k))
        found = relevant.any(axis=1)
        precisions.append(ranking.average_precision(ranked)[found])
    result = {f"r_at_{k}": _mean(parts) for k, parts in recalls.items()}
    result["map"] = _mean(precisions)
    return result


def hierarchical_precision(
    query: NDArray[np.floating],
    gallery: NDArray[np.floating],
    query_labels: NDArray[np.integer],
    gallery_labels: NDArray[np.integer],
    near: Mapping[int, NDArray[np.bool_]],
    query_keys: NDArray[np.generic] | None = None,
    gallery_keys: NDArray[np.generic] | None = None,
) -> dict[str, float]:
    """HP@K after DeViSE (paper 4.4): the share of the K nearest whose class is near the query's.

    Args:
        query: (q, D) unit vectors.
        gallery: (g, D) unit vectors.
        query_labels: (q,) class numbers.
        gallery_labels: (g,) class numbers.
        near: for each K, a (C, C) mask: which classes count as right for each true class, see `near_classes`.
        query_keys: as in `retrieval_metrics`.
        gallery_keys: as in `retrieval_metrics`.

    Returns:
        ``hp_at_K`` for each K; ties count as chance; nan when there is no query or nothing to find.
    """
    if not len(query) or not len(gallery):
        return {f"hp_at_{k}": float("nan") for k in near}
    shares: dict[int, list[NDArray[np.float64]]] = {k: [] for k in near}
    for rows, scores in _score_blocks(query, gallery):
        for k, mask in near.items():
            relevant = mask[query_labels[rows][:, None], gallery_labels[None, :]]
            kept, relevant = _without_own(scores, relevant, query_keys, gallery_keys, rows)
            ranking = _Ranking(kept)
            shares[k].append(ranking.precision(ranking.in_order(relevant), k))
    return {f"hp_at_{k}": _mean(parts) for k, parts in shares.items()}


def _without_own(
    scores: NDArray[np.float32],
    relevant: NDArray[np.bool_],
    query_keys: NDArray[np.generic] | None,
    gallery_keys: NDArray[np.generic] | None,
    rows: slice,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Puts the items of a query's own key last and counts them as not relevant."""
    if query_keys is None or gallery_keys is None:
        return scores, relevant
    own = query_keys[rows, None] == gallery_keys[None, :]
    return np.where(own, -np.inf, scores).astype(np.float32), relevant & ~own


class _Ranking:
    """The order of the gallery for some queries, with the group of tied items that each place belongs to."""

    def __init__(self, scores: NDArray[np.floating]) -> None:
        self.order = np.argsort(-scores, axis=1, kind="stable")
        ranked = np.take_along_axis(scores, self.order, axis=1)
        n, g = ranked.shape
        place = np.broadcast_to(np.arange(g), (n, g))
        first = np.ones((n, g), bool)
        first[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
        last = np.ones((n, g), bool)
        last[:, :-1] = first[:, 1:]
        self.start = np.maximum.accumulate(np.where(first, place, 0), axis=1)
        self.end = np.minimum.accumulate(np.where(last, place + 1, g)[:, ::-1], axis=1)[:, ::-1]

    def in_order(self, relevant: NDArray[np.bool_]) -> NDArray[np.intp]:
        """(q, g + 1): how many relevant items stand before each place; `relevant` is in the gallery's own order."""
        counts = np.cumsum(np.take_along_axis(relevant, self.order, axis=1), axis=1)
        return np.concatenate([np.zeros((len(counts), 1), counts.dtype), counts], axis=1)

    def recall(self, before: NDArray[np.intp], k: int) -> NDArray[np.float64]:
        """(q,) probability that a relevant item stands among the first k when ties are in random order."""
        queries, cut, start, end = self._at(k)
        size = end - start
        misses = size - (before[queries, end] - before[queries, start])
        drawn = cut + 1 - start
        miss_all = np.ones(len(queries))
        for i in range(cut + 1):
            miss_all *= np.where(i < drawn, np.maximum(misses - i, 0) / np.maximum(size - i, 1), 1.0)
        return np.where(before[queries, start] > 0, 1.0, 1.0 - miss_all)

    def precision(self, before: NDArray[np.intp], k: int) -> NDArray[np.float64]:
        """(q,) expected share of relevant items among the first k when ties are in random order."""
        queries, cut, start, end = self._at(k)
        ahead = before[queries, start]
        share = (before[queries, end] - ahead) / (end - start)
        return np.asarray((ahead + share * (cut + 1 - start)) / k)

    def average_precision(self, before: NDArray[np.intp]) -> NDArray[np.float64]:
        """(q,) expected average precision when ties are in random order (McSherry and Najork, ECIR 2008, eq. 6)."""
        place = np.arange(self.start.shape[1])[None, :]
        ahead = np.take_along_axis(before, self.start, axis=1)
        hits = np.take_along_axis(before, self.end, axis=1) - ahead
        size = self.end - self.start
        others = (hits - 1) / np.maximum(size - 1, 1)
        expected_ahead = ahead + (place - self.start) * others
        gain = (hits / size) * (expected_ahead + 1.0) / (place + 1.0)
        total = np.maximum(before[:, -1], 1)
        return np.asarray(np.where(hits > 0, gain, 0.0).sum(axis=1) / total)

    def _at(self, k: int) -> tuple[NDArray[np.intp], int, NDArray[np.intp], NDArray[np.intp]]:
        """Queries, the k-th place, and start and end of the tied group that stands there."""
        cut = min(k, self.start.shape[1]) - 1
        return np.arange(len(self.start)), cut, self.start[:, cut], self.end[:, cut]


def _score_blocks(
    query: NDArray[np.floating], gallery: NDArray[np.floating]
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    step = max(1, BLOCK_ELEMENTS // max(len(gallery), 1))
    other = gallery.astype(np.float32).T
    for start in range(0, len(query), step):
        rows = slice(start, min(start + step, len(query)))
        yield rows, np.rint(query[rows].astype(np.float32) @ other / TIE).astype(np.float32)


def _mean(parts: list[NDArray[np.float64]]) -> float:
    values = np.concatenate(parts)
    return float(values.mean()) if len(values) else float("nan")
