"""Search beside scikit-learn: `python -m benchmarks.search [--rows 1000000] [--intrinsic 512] [--json]`.

Random 512-d unit vectors, stored as float16, and 100 random queries: the hardest case for an index, as nothing lies
near anything. `--intrinsic 32` puts them all into a random subspace of 32 dimensions, nearer to what towers give.
`huse_exact` reads its shards from disk, verified, in every run; `huse_in_memory` has them in memory in float32, as
`huse serve` does, and so has scikit-learn (`NearestNeighbors`, brute force, cosine); `_one` is a single query. HNSW is
built once, by `--float32` also of vectors stored so; its recall is that of the true 10 nearest.
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
from huse.embed.search.gallery import Gallery, nearest
from huse.embed.search.index import open_index
from huse.embed.search.index_build import HNSW
from huse.features.encoder_spec import EncoderSpec
from huse.features.info import EMBEDDINGS, StoreInfo
from huse.features.rows import Rows
from huse.features.store import Store

DIMENSION, SHARD, QUERIES, K = 512, 10_000, 100, 10

Vectors = np.ndarray[Any, np.dtype[np.float32]]


def unit(rng: np.random.Generator, n: int, intrinsic: int) -> Vectors:
    """(n, 512) random unit vectors, all in the same subspace of so many dimensions."""
    vectors = rng.standard_normal((n, intrinsic), np.float32)
    if intrinsic < DIMENSION:
        vectors = vectors @ np.random.default_rng(2).standard_normal((intrinsic, DIMENSION), np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def make_store(folder: Path, rows: int, intrinsic: int, dtype: str = "float16") -> Store:
    """A store of random texts' embeddings."""
    rng = np.random.default_rng(0)
    spec = EncoderSpec("random", "text", DIMENSION, "none", "0")
    store = Store.create(folder, StoreInfo(EMBEDDINGS, None, spec, SHARD, dtype))
    store.write_plan(rows // SHARD)
    for index in range(rows // SHARD):
        part = Rows.empty(SHARD, 0, DIMENSION)
        part.key[:] = [f"row-{index * SHARD + i}" for i in range(SHARD)]
        part.text.vectors[:] = unit(rng, SHARD, intrinsic)
        part.text.present[:] = True
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


def measure_exact(store: Store, queries: Vectors, rounds: int) -> tuple[dict[str, float], list[set[str]]]:
    """Figures of comparing with all rows, and the keys of each query's true nearest."""
    galleries = [Gallery.of(part, "text").in_float32() for part in store]
    hits = nearest(galleries, queries, K)
    return {
        "huse_exact": median_seconds(lambda: nearest((Gallery.of(part, "text") for part in store), queries, K), rounds),
        "huse_in_memory": median_seconds(lambda: nearest(galleries, queries, K), rounds),
        "huse_in_memory_one": median_seconds(lambda: nearest(galleries, queries[:1], K), rounds),
    }, [{hit.key for hit in found} for found in hits]


def measure_scikit_learn(store: Store, queries: Vectors, truth: list[set[str]], rounds: int) -> dict[str, float]:
    """The same figures of scikit-learn, and how much of the truth it finds."""
    matrix = np.concatenate([part.text.vectors for part in store]).astype(np.float32)
    brute = NearestNeighbors(n_neighbors=K, metric="cosine", algorithm="brute").fit(matrix)
    found = brute.kneighbors(queries, return_distance=False)
    return {
        "scikit_learn": median_seconds(lambda: brute.kneighbors(queries), rounds),
        "scikit_learn_one": median_seconds(lambda: brute.kneighbors(queries[:1]), rounds),
        "agreement_with_scikit_learn": share([{f"row-{i}" for i in row} for row in found], truth),
    }


def measure_hnsw(store: Store, queries: Vectors, truth: list[set[str]], rounds: int) -> dict[str, float]:
    """Seconds to build an index and to ask it, and its recall."""
    began = time.perf_counter()
    index = open_index(store, "text", HNSW, lambda _: None)
    return {
        "build": time.perf_counter() - began,
        "queries": median_seconds(lambda: index.faiss.search(queries, K), rounds),
        "recall_stored": index.recall,
        "recall": share([{hit.key for hit in hits} for hits in index.nearest(queries, K)], truth),
    }


def share(found: list[set[str]], truth: list[set[str]]) -> float:
    """How much of the truth was found."""
    return float(np.mean([len(a & b) for a, b in zip(found, truth, strict=True)]) / K)


def measure(rows: int, intrinsic: int, rounds: int, storages: tuple[str, ...]) -> dict[str, Any]:
    """All figures, in seconds for all queries together."""
    queries = unit(np.random.default_rng(1), QUERIES, intrinsic)
    result: dict[str, Any] = {"rows": rows, "intrinsic": intrinsic, "queries": QUERIES}
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder) / "float16", rows, intrinsic)
        figures, truth = measure_exact(store, queries, rounds)
        result |= figures | measure_scikit_learn(store, queries, truth, rounds)
        for dtype in storages:
            other = store if dtype == "float16" else make_store(Path(folder) / dtype, rows, intrinsic, dtype)
            figures = measure_hnsw(other, queries, truth, rounds)
            result |= {f"hnsw_{dtype}_{name}": value for name, value in figures.items()}
    result["ratio_scikit_learn"] = result["scikit_learn"] / result["huse_in_memory"]
    for name in ("build", "queries") if len(storages) == 2 else ():
        result[f"ratio_hnsw_{name}"] = result[f"hnsw_float32_{name}"] / result[f"hnsw_float16_{name}"]
    return result


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--intrinsic", default=DIMENSION, show_default=True, help="Dimensions of the subspace with all vectors.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--index/--no-index", default=True, help="Build HNSW, which takes by far the longest.")
@click.option("--float32", is_flag=True, help="Build HNSW of float32 vectors too.")
@click.option("--json", "as_json", is_flag=True)
def main(rows: int, intrinsic: int, rounds: int, index: bool, float32: bool, as_json: bool) -> None:
    """Prints the figures."""
    storages = (("float16", "float32") if float32 else ("float16",)) if index else ()
    show(measure(rows, intrinsic, rounds, storages), as_json)


if __name__ == "__main__":
    main()
