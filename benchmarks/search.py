"""Search beside scikit-learn: `python -m benchmarks.search [--rows 1000000] [--intrinsic 512] [--json]`.

Random 512-d unit vectors, stored as float16, and 100 random queries: the hardest case for an index, as nothing lies
near anything. `--intrinsic 32` puts them all into a random subspace of 32 dimensions, nearer to what towers give.
`huse_exact` reads its shards from disk, verified, in every run; `huse_in_memory` has them in memory in float32, as
`huse serve` does, and so has scikit-learn (`NearestNeighbors`, brute force, cosine); `_one` is a single query. HNSW is
built once; its recall is that of the true 10 nearest.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from sklearn.neighbors import NearestNeighbors

from benchmarks.figures import show
from huse.embed.gallery import Gallery, nearest
from huse.embed.index import HNSW, open_index
from huse.features.encoder_spec import EncoderSpec
from huse.features.rows import Rows
from huse.features.store import EMBEDDINGS, Store, StoreInfo

DIMENSION, SHARD, QUERIES, K = 512, 10_000, 100, 10


def unit(rng: np.random.Generator, n: int, intrinsic: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(n, 512) random unit vectors, all in the same subspace of so many dimensions."""
    vectors = rng.standard_normal((n, intrinsic), np.float32)
    if intrinsic < DIMENSION:
        vectors = vectors @ np.random.default_rng(2).standard_normal((intrinsic, DIMENSION), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_store(folder: Path, rows: int, intrinsic: int) -> Store:
    """A store of random texts' embeddings."""
    rng = np.random.default_rng(0)
    spec = EncoderSpec("random", "text", DIMENSION, "none", "0")
    store = Store.create(folder, StoreInfo(EMBEDDINGS, None, spec, SHARD, "float16"))
    for index in range(rows // SHARD):
        part = Rows.empty(SHARD, 0, DIMENSION)
        part.key[:] = [f"row-{index * SHARD + i}" for i in range(SHARD)]
        part.text = unit(rng, SHARD, intrinsic)
        part.has_text[:] = True
        part.prediction, part.probability = part.label.copy(), np.zeros(SHARD, np.float32)
        store.write(index, part)
    return store


def median_seconds(work: Callable[[], Any], rounds: int) -> float:
    """Median of several runs."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def measure(rows: int, intrinsic: int, rounds: int, with_index: bool) -> dict[str, Any]:
    """All figures, in seconds for all queries together."""
    queries = unit(np.random.default_rng(1), QUERIES, intrinsic)
    result: dict[str, Any] = {"rows": rows, "intrinsic": intrinsic, "queries": QUERIES}
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder) / "e", rows, intrinsic)
        result["huse_exact"] = median_seconds(
            lambda: nearest((Gallery.of(part, "text") for part in store), queries, K), rounds
        )
        galleries = [Gallery.of(part, "text").in_float32() for part in store]
        result["huse_in_memory"] = median_seconds(lambda: nearest(galleries, queries, K), rounds)
        result["huse_in_memory_one"] = median_seconds(lambda: nearest(galleries, queries[:1], K), rounds)
        truth = [{hit.key for hit in hits} for hits in nearest(galleries, queries, K)]
        matrix = np.concatenate([gallery.vectors for gallery in galleries])
        galleries = []
        brute = NearestNeighbors(n_neighbors=K, metric="cosine", algorithm="brute").fit(matrix)
        result["scikit_learn"] = median_seconds(lambda: brute.kneighbors(queries), rounds)
        result["scikit_learn_one"] = median_seconds(lambda: brute.kneighbors(queries[:1]), rounds)
        found = brute.kneighbors(queries, return_distance=False)
        shared = [len({f"row-{i}" for i in row} & keys) for row, keys in zip(found, truth, strict=True)]
        result["agreement_with_scikit_learn"] = float(np.mean(shared) / K)
        del matrix
        brute = None
        if with_index:
            began = time.perf_counter()
            index = open_index(store, "text", HNSW, lambda _: None)
            result["hnsw_build"] = time.perf_counter() - began
            result["hnsw_recall_stored"] = index.recall
            result["hnsw"] = median_seconds(lambda: index.faiss.search(queries, K), rounds)
            hits = index.nearest(queries, K)
            shared = [len({h.key for h in row} & keys) for row, keys in zip(hits, truth, strict=True)]
            result["hnsw_recall"] = float(np.mean(shared) / K)
    result["ratio_scikit_learn"] = result["scikit_learn"] / result["huse_in_memory"]
    return result


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--intrinsic", default=DIMENSION, show_default=True, help="Dimensions of the subspace with all vectors.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--index/--no-index", default=True, help="Build HNSW, which takes by far the longest.")
@click.option("--json", "as_json", is_flag=True)
def main(rows: int, intrinsic: int, rounds: int, index: bool, as_json: bool) -> None:
    """Prints the figures."""
    result = measure(rows, intrinsic, rounds, index)
    show(result, as_json)


if __name__ == "__main__":
    main()
