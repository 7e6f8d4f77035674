"""Makes FAISS indexes of embeddings, and measures what they find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.embed.search.gallery import Gallery
from huse.features.rows import Rows
from huse.features.store import Store

HNSW, IVFPQ = "hnsw", "ivfpq"

NEIGHBORS, BUILD_EFFORT, SEARCH_EFFORT = 32, 40, 256
"""HNSW: links a vector, and candidates looked at while building and while searching."""

BYTES_A_VECTOR, PROBES = 64, 64
"""IVF-PQ: length of a code, and lists looked into."""

VECTORS_A_CENTER = 39
"""What k-means wants at least."""

SAMPLE, SAMPLE_K = 100, 10
"""Queries and neighbors by which the recall of a new index is measured."""

Shards = Store | Sequence[Rows]
"""What can be gone through shard by shard, again and again."""


def build_index(faiss: Any, shards: Shards, gallery: str, kind: str, total: int, dtype: str) -> Any:
    """An index over all vectors of a gallery.

    Args:
        faiss: the module.
        shards: the rows.
        gallery: ``image``, ``text`` or ``fused``.
        kind: ``hnsw`` or ``ivfpq``.
        total: how many vectors there are, at least one.
        dtype: of the stored vectors.
    """
    dimension = next(Gallery.of(rows, gallery).at(np.arange(0)).shape[1] for rows in shards)
    if kind == HNSW:
        index = _empty_hnsw(faiss, dimension, dtype)
    else:
        index = _trained_ivfpq(faiss, shards, gallery, dimension, total)
    with tqdm(total=total, desc=f"index ({kind})", unit="row", disable=None) as bar:
        for rows in shards:
            part = Gallery.of(rows, gallery)
            index.add(np.ascontiguousarray(part.at(part.positions)))
            bar.update(len(part.positions))
    return index


def recall_of(index: Any, shards: Shards, gallery: str, total: int) -> float:
    """Share of the true nearest that the index finds, each sampled vector itself left out.

    Args:
        index: over all vectors of the gallery.
        shards: the rows.
        gallery: ``image``, ``text`` or ``fused``.
        total: how many vectors there are, at least one.
    """
    queries = _sample(shards, gallery, min(1.0, SAMPLE / total))
    if not len(queries):
        queries = _sample(shards, gallery, 1.0)[:1]
    k = min(SAMPLE_K + 1, total)
    _, found = index.search(queries, k)
    truth = _true_numbers(queries, shards, gallery, k)[:, 1:]
    if not truth.shape[1]:
        return 1.0
    shares = [np.isin(true, numbers).mean() for true, numbers in zip(truth, found, strict=True)]
    return float(np.mean(shares))


def _true_numbers(queries: NDArray[np.float32], shards: Shards, gallery: str, k: int) -> NDArray[np.intp]:
    """(q, k) the numbers of the vectors nearest to each query, nearest first."""
    scores = np.empty((len(queries), 0), np.float32)
    numbers = np.empty((len(queries), 0), np.intp)
    done = 0
    for rows in shards:
        part = Gallery.of(rows, gallery)
        vectors = part.at(part.positions)
        scores = np.concatenate([scores, queries @ vectors.T], axis=1)
        new = np.broadcast_to(np.arange(done, done + len(vectors)), (len(queries), len(vectors)))
        numbers = np.concatenate([numbers, new], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores, numbers = np.take_along_axis(scores, best, 1), np.take_along_axis(numbers, best, 1)
        done += len(vectors)
    return numbers


def _empty_hnsw(faiss: Any, dimension: int, dtype: str) -> Any:
    """HNSW that keeps vectors as the store has them, codes as float16: faster than float32, in half the memory."""
    storage = "Flat" if dtype == "float32" else "SQfp16"
    index = faiss.index_factory(dimension, f"HNSW{NEIGHBORS},{storage}", faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = BUILD_EFFORT, SEARCH_EFFORT
    return index


def _trained_ivfpq(faiss: Any, shards: Shards, gallery: str, dimension: int, total: int) -> Any:
    lists = max(1, min(int(4 * total**0.5), total // VECTORS_A_CENTER))
    code = next(size for size in range(min(BYTES_A_VECTOR, dimension), 0, -1) if dimension % size == 0)
    bits = min(8, max(1, int(np.log2(max(total // VECTORS_A_CENTER, 2)))))
    index = faiss.index_factory(dimension, f"IVF{lists},PQ{code}x{bits}", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = PROBES
    for centers in (index.cp, index.pq.cp):
        centers.min_points_per_centroid = 1  # of a small store there are no more; FAISS would print a line a clustering
    sample = _sample(shards, gallery, min(1.0, max(64 * lists, 256 * VECTORS_A_CENTER) / total))
    index.train(np.resize(sample, (max(len(sample), 1 << bits), dimension)))  # k-means wants as many as it has centers
    return index


def _sample(shards: Shards, gallery: str, share: float) -> NDArray[np.float32]:
    """About this share of the vectors, from all shards."""
    rng = np.random.default_rng(0)
    parts = []
    for rows in shards:
        part = Gallery.of(rows, gallery)
        chosen = np.flatnonzero(part.there & (rng.random(len(rows)) < share))
        parts.append(part.at(chosen))
    return np.ascontiguousarray(np.concatenate(parts))
