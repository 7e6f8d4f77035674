"""Accuracy and retrieval metrics: pure functions over arrays, exact, in blocks, ties counted as chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from huse.train.evaluation.ranking import Places, Ranking

KS = (1, 5, 10)
BLOCK_ELEMENTS = 1 << 22
"""Similarities held at a time: 16 MiB of float32, and a few such arrays beside it while ranking."""

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
    """Recall at K and mean average precision of a ranking by cosine similarity, over the queries of `retrieval_values`.

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
    values = retrieval_values(query, gallery, query_labels, gallery_labels, query_keys, gallery_keys, ks=ks, held=held)
    return {name: _mean(each) for name, each in values.items()}


def retrieval_values(
    query: NDArray[np.floating],
    gallery: NDArray[np.floating],
    query_labels: NDArray[np.generic],
    gallery_labels: NDArray[np.generic],
    query_keys: NDArray[np.generic] | None = None,
    gallery_keys: NDArray[np.generic] | None = None,
    ks: tuple[int, ...] = KS,
    *,
    held: int = BLOCK_ELEMENTS,
) -> dict[str, NDArray[np.float64]]:
    """What each query adds to the figures of `retrieval_metrics`, with the same arguments.

    A hit at K is an item of the query's class among the K nearest (paper 4.3). Average precision is over the full
    ranking, of the queries that have an item of their class to find. Items at equal distance count as if in random
    order, so constant embeddings score chance.

    Returns:
        (q,) ``r_at_K`` for each K, and ``map``; nan where a query does not count.
    """
    names = [*(f"r_at_{k}" for k in ks), "map"]
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    for rows, scores in _score_blocks(query, gallery, held):
        relevant = query_labels[rows, None] == gallery_labels[None, :]
        ranking = Ranking(*_without_own(scores, relevant, query_keys, gallery_keys, rows))
        for k in ks:
            parts[f"r_at_{k}"].append(ranking.recall(k))
        parts["map"].append(np.where(ranking.total > 0, ranking.average_precision(), np.nan))
    return {name: _joined(part, len(query)) for name, part in parts.items()}


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
    order = np.argsort(number)
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

    Every row has an item. Counting does without a sorted gallery, which would take most of the time.
    """
    value = scores[row, item]
    best = np.full(len(scores), -np.inf, np.float32)
    np.maximum.at(best, row, value)
    nearer, as_near = scores > best[:, None], scores == best[:, None]
    hits = np.bincount(row[value == best[row]])
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
    values = hierarchical_values(query, gallery, query_labels, gallery_labels, near, query_keys, gallery_keys)
    return {name: _mean(each) for name, each in values.items()}


def hierarchical_values(
    query: NDArray[np.floating],
    gallery: NDArray[np.floating],
    query_labels: NDArray[np.integer],
    gallery_labels: NDArray[np.integer],
    near: Mapping[int, NDArray[np.bool_]],
    query_keys: NDArray[np.generic] | None = None,
    gallery_keys: NDArray[np.generic] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """What each query adds to the figures of `hierarchical_precision`, with the same arguments.

    Where the set of right classes has grown to all, nothing could be wrong: such queries do not count.

    Returns:
        (q,) ``hp_at_K`` for each K; nan where a query does not count.
    """
    parts: dict[str, list[NDArray[np.float64]]] = {f"hp_at_{k}": [] for k in near}
    for rows, scores in _score_blocks(query, gallery):
        for k, mask in near.items():
            telling = ~np.asarray(mask.all(axis=1))[query_labels[rows]]
            if not telling.any():
                parts[f"hp_at_{k}"].append(np.full(len(telling), np.nan))
                continue
            relevant = mask[query_labels[rows][:, None], gallery_labels[None, :]]
            ranking = Ranking(*_without_own(scores, relevant, query_keys, gallery_keys, rows))
            parts[f"hp_at_{k}"].append(np.where(telling, ranking.precision(k), np.nan))
    return {name: _joined(part, len(query)) for name, part in parts.items()}


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


def _score_blocks(
    query: NDArray[np.floating], gallery: NDArray[np.floating], held: int = BLOCK_ELEMENTS
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    if not len(gallery):
        return
    step = max(1, held // len(gallery))
    other = gallery.astype(np.float32, copy=False).T
    for start in range(0, len(query), step):
        rows = slice(start, min(start + step, len(query)))
        yield rows, np.rint(query[rows].astype(np.float32) @ other / TIE).astype(np.float32)


def _joined(parts: list[NDArray[np.float64]], queries: int) -> NDArray[np.float64]:
    """(q,) what blocks of queries gave; nan for all where there was no gallery."""
    return np.concatenate(parts) if parts else np.full(queries, np.nan)


def _mean(values: NDArray[np.float64]) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else float("nan")
