"""Accuracy and retrieval metrics: pure functions over arrays, exact, in blocks, ties counted as chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

KS = (1, 5, 10)
BLOCK_ELEMENTS = 1 << 22
"""Similarities held at a time: 16 MiB of float32, and a few such arrays beside it while ranking."""

Places = NDArray[np.intp]

TIE = 1e-6
"""Similarities are compared on this grid: equal vectors do not always give products equal to the last bit."""


def accuracy(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Share of rows whose highest score is at their label.

    Args:
        scores: (n, K) logits or probabilities.
        labels: (n,) class numbers; -1, a class the model does not know, is always wrong.

    Returns:
        Between 0 and 1; nan for no rows, or no classes.
    """
    if not scores.size:
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
    *,
    held: int = BLOCK_ELEMENTS,
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
        held: similarities in memory at a time; it changes no figure.

    Returns:
        ``r_at_K`` for each K, and ``map``; nan when there is no query or nothing to find.
    """
    if not len(query) or not len(gallery):
        return {**{f"r_at_{k}": float("nan") for k in ks}, "map": float("nan")}
    recalls: dict[int, list[NDArray[np.float64]]] = {k: [] for k in ks}
    precisions: list[NDArray[np.float64]] = []
    for rows, scores in _score_blocks(query, gallery, held):
        relevant = query_labels[rows, None] == gallery_labels[None, :]
        ranking = _Ranking(*_without_own(scores, relevant, query_keys, gallery_keys, rows))
        for k in ks:
            recalls[k].append(ranking.recall(k))
        precisions.append(ranking.average_precision()[ranking.total > 0])
    result = {f"r_at_{k}": _mean(parts) for k, parts in recalls.items()}
    result["map"] = _mean(precisions)
    return result


def instance_metrics(
    query: NDArray[np.floating],
    gallery: NDArray[np.floating],
    own: NDArray[np.integer],
    ks: tuple[int, ...] = KS,
    *,
    held: int = BLOCK_ELEMENTS,
) -> dict[str, float]:
    """Recall at K and mean reciprocal rank of what belongs to each query, as tables of Flickr30k and COCO have them.

    A hit at K is an item of the gallery that belongs to the query, such as one of the captions of an image, among the
    K nearest; the rank is that of the first. Items at equal distance count as if in random order.

    Args:
        query: (q, D) unit vectors; those that nothing belongs to are not asked.
        gallery: (g, D) unit vectors.
        own: (p, 2) positions of a query and of an item that belongs to it, each pair once.
        ks: the K of recall at K.
        held: similarities in memory at a time; it changes no figure.

    Returns:
        ``r_at_K`` for each K, and ``mrr``; nan when nothing belongs together.
    """
    if not len(own):
        return {**{f"r_at_{k}": float("nan") for k in ks}, "mrr": float("nan")}
    asked, number = np.unique(own[:, 0], return_inverse=True)
    order = np.argsort(number, kind="stable")
    number, item = number[order], own[order, 1]
    counts: list[NDArray[np.intp]] = []
    for rows, scores in _score_blocks(query[asked], gallery, held):
        mine = slice(*np.searchsorted(number, [rows.start, rows.stop]))
        counts.append(_around_first(scores, number[mine] - rows.start, item[mine]))
    ahead, tied, hits = np.concatenate(counts, axis=1)
    recalls, reciprocal = _first_hits(ahead, tied, hits, ks)
    return {**{f"r_at_{k}": float(chance.mean()) for k, chance in recalls.items()}, "mrr": float(reciprocal.mean())}


def _around_first(scores: NDArray[np.float32], row: Places, item: Places) -> NDArray[np.intp]:
    """For each row of scores (q, g), how many items are nearer than the first hit, as near, and hits as near: (3, q).

    Counting does without a sorted gallery, which would take most of the time.
    """
    value = scores[row, item]
    best = np.full(len(scores), -np.inf, np.float32)
    np.maximum.at(best, row, value)
    nearer, as_near = scores > best[:, None], scores == best[:, None]
    hits = np.bincount(row[value == best[row]], minlength=len(scores))
    return np.stack([np.count_nonzero(nearer, axis=1), np.count_nonzero(as_near, axis=1), hits])


def _first_hits(
    ahead: Places, tied: Places, hits: Places, ks: tuple[int, ...]
) -> tuple[dict[int, NDArray[np.float64]], NDArray[np.float64]]:
    """For each K the chance (q,) that a hit is among the first K, and the expected reciprocal rank (q,) of the first.

    Args:
        ahead: (q,) items that are nearer than any hit.
        tied: (q,) items as near as the nearest hit, itself included.
        hits: (q,) how many of these are hits.
        ks: the K.
    """
    missed, reciprocal = np.ones(len(ahead)), np.zeros(len(ahead))
    recalls = {k: np.zeros(len(ahead)) for k in ks}
    for drawn in range(int((tied - hits).max()) + 1):
        chance = missed * hits / np.maximum(tied - drawn, hits)
        missed = missed - chance
        reciprocal += chance / (ahead + drawn + 1)
        for k, recall in recalls.items():
            recall += chance * (ahead + drawn < k)
    return recalls, reciprocal


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

    Where the set of right classes has grown to all, nothing could be wrong: such queries are left out.

    Args:
        query: (q, D) unit vectors.
        gallery: (g, D) unit vectors.
        query_labels: (q,) class numbers.
        gallery_labels: (g,) class numbers.
        near: for each K, a (C, C) mask: which classes count as right for each true class, see `near_classes`.
        query_keys: as in `retrieval_metrics`.
        gallery_keys: as in `retrieval_metrics`.

    Returns:
        ``hp_at_K`` for each K; ties count as chance; nan when no query is left or there is nothing to find.
    """
    if not len(query) or not len(gallery):
        return {f"hp_at_{k}": float("nan") for k in near}
    shares: dict[int, list[NDArray[np.float64]]] = {k: [] for k in near}
    for rows, scores in _score_blocks(query, gallery):
        for k, mask in near.items():
            telling = ~np.asarray(mask.all(axis=1))[query_labels[rows]]
            if not telling.any():
                continue
            relevant = mask[query_labels[rows][:, None], gallery_labels[None, :]]
            ranking = _Ranking(*_without_own(scores, relevant, query_keys, gallery_keys, rows))
            shares[k].append(ranking.precision(k)[telling])
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
    """Where the relevant items of some queries stand when the gallery is sorted by score.

    Only scores are sorted, not the gallery itself: places follow from counting, which is several times faster.

    Args:
        scores: (q, g), higher is nearer.
        relevant: (q, g) mask.
    """

    def __init__(self, scores: NDArray[np.float32], relevant: NDArray[np.bool_]) -> None:
        self._ascending = np.sort(scores, axis=1)
        row, column = np.nonzero(relevant)
        value = scores[row, column]
        order = np.lexsort((value, row))
        self._row, self._value = row[order], value[order]
        self.total = np.bincount(row, minlength=len(scores))

    def recall(self, k: int) -> NDArray[np.float64]:
        """(q,) probability that a relevant item stands among the first k when ties are in random order."""
        cut, start, end, ahead, hits = self._at(k)
        size, drawn = end - start, cut + 1 - start
        misses = size - hits
        miss_all = np.ones(len(size))
        for i in range(cut + 1):
            miss_all *= np.where(i < drawn, np.maximum(misses - i, 0) / np.maximum(size - i, 1), 1.0)
        return np.where(ahead > 0, 1.0, 1.0 - miss_all)

    def precision(self, k: int) -> NDArray[np.float64]:
        """(q,) expected share of relevant items among the first k when ties are in random order."""
        cut, start, end, ahead, hits = self._at(k)
        return np.asarray((ahead + hits / (end - start) * (cut + 1 - start)) / k)

    def average_precision(self) -> NDArray[np.float64]:
        """(q,) expected average precision when ties are in random order (McSherry and Najork, ECIR 2008, eq. 6).

        A tied group of size t with h relevant items, from place s on (from 0), after a relevant ones, adds the sum over
        j < t of (h / t) (a + 1 + j b) / (s + 1 + j), where b = (h - 1) / (t - 1); harmonic numbers give it at once.
        """
        first = np.ones(len(self._row), bool)
        first[1:] = (self._row[1:] != self._row[:-1]) | (self._value[1:] != self._value[:-1])
        begin = np.flatnonzero(first)
        row, hits = self._row[begin], np.diff(np.append(begin, len(first)))
        ahead = np.cumsum(self.total)[row] - begin - hits
        start, end = self._tied_group(row, self._value[begin])
        size = end - start
        step = (hits - 1) / np.maximum(size - 1, 1)
        harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, self._ascending.shape[1] + 1))])
        rest = (ahead + 1 - step * (start + 1)) * (harmonic[end] - harmonic[start])
        gain = hits / size * (step * size + rest)
        summed = np.bincount(row, gain, minlength=len(self.total))
        return np.asarray(summed / np.maximum(self.total, 1))

    def _at(self, k: int) -> tuple[int, Places, Places, Places, Places]:
        """The k-th place; start and end of the tied group there; relevant items ahead of that group and in it."""
        n, g = self._ascending.shape
        cut = min(k, g) - 1
        value = self._ascending[:, g - 1 - cut]
        start, end = self._tied_group(np.arange(n), value)
        ahead = np.bincount(self._row[self._value > value[self._row]], minlength=n)
        hits = np.bincount(self._row[self._value == value[self._row]], minlength=n)
        return cut, start, end, ahead, hits

    def _tied_group(self, row: Places, value: NDArray[np.float32]) -> tuple[Places, Places]:
        """First place, and place after the last, of the items of a row that have a value; `row` ascends."""
        start, end = np.empty(len(row), np.intp), np.empty(len(row), np.intp)
        bounds = np.searchsorted(row, np.arange(len(self._ascending) + 1))
        for scores, a, b in zip(self._ascending, bounds[:-1], bounds[1:], strict=True):
            start[a:b] = len(scores) - np.searchsorted(scores, value[a:b], "right")
            end[a:b] = len(scores) - np.searchsorted(scores, value[a:b], "left")
        return start, end


def _score_blocks(
    query: NDArray[np.floating], gallery: NDArray[np.floating], held: int = BLOCK_ELEMENTS
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    step = max(1, held // max(len(gallery), 1))
    other = gallery.astype(np.float32, copy=False).T
    for start in range(0, len(query), step):
        rows = slice(start, min(start + step, len(query)))
        yield rows, np.rint(query[rows].astype(np.float32) @ other / TIE).astype(np.float32)


def _mean(parts: list[NDArray[np.float64]]) -> float:
    values = np.concatenate(parts) if parts else np.zeros(0)
    return float(values.mean()) if len(values) else float("nan")
