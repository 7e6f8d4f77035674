"""Others who find the nearest of many vectors, for benchmarks.search: exactly, and by an index that is built once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from huse.features.processor import processors

Vectors = np.ndarray[Any, np.dtype[np.float32]]
Found = np.ndarray[Any, np.dtype[np.int64]]

Search = Callable[[Vectors], Found]
"""From (q, 512) queries to the (q, k) numbers of the vectors found."""


def exact_searches(matrix: Vectors, k: int) -> Mapping[str, Search]:
    """Who compares with all vectors, by name; each has them in memory as float32."""
    return {
        "scikit_learn": scikit_learn(matrix, k),
        "faiss_flat": faiss_flat(matrix, k),
        "usearch_exact": usearch_exact(matrix, k),
    }


def scikit_learn(matrix: Vectors, k: int) -> Search:
    """`NearestNeighbors`, brute force, cosine."""
    brute = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(matrix)
    return lambda queries: np.asarray(brute.kneighbors(queries, return_distance=False))


def faiss_flat(matrix: Vectors, k: int) -> Search:
    """`IndexFlatIP`."""
    import faiss

    index = faiss.IndexFlatIP(matrix.shape[1])
    index.add(matrix)
    return lambda queries: np.asarray(index.search(queries, k)[1])


def usearch_exact(matrix: Vectors, k: int) -> Search:
    """`usearch.index.search`, which is exact where there is no index."""
    from usearch.index import MetricKind, search

    return lambda queries: np.asarray(
        search(matrix, queries, k, MetricKind.IP, exact=True, threads=processors()).keys.reshape(len(queries), -1),
        np.int64,
    )


def usearch_hnsw(matrix: Vectors, k: int, effort: int) -> tuple[float, Search]:
    """Seconds to build usearch's HNSW of float16 by its own defaults, and it; `effort` candidates a query."""
    from usearch.index import Index

    began = time.perf_counter()
    index = Index(ndim=matrix.shape[1], metric="ip", dtype="f16", expansion_search=effort)
    index.add(np.arange(len(matrix)), matrix, threads=processors())
    seconds = time.perf_counter() - began
    return seconds, lambda queries: np.asarray(index.search(queries, k, threads=processors()).keys, np.int64)


def memory_bytes_per_second(matrix: Vectors, rounds: int = 5) -> float:
    """How fast all cores together read the bytes of a matrix, at best: the largest value of each of its parts."""
    parts = np.array_split(matrix.reshape(-1), 8 * processors())
    seconds = []
    with ThreadPoolExecutor(processors()) as threads:
        for _ in range(rounds):
            began = time.perf_counter()
            list(threads.map(np.max, parts))
            seconds.append(time.perf_counter() - began)
    return matrix.nbytes / min(seconds)
