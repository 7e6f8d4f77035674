"""Search beside others: `python -m benchmarks.search [--rows 1000000] [--intrinsic 512] [--rounds 3] [--json]`.

Random 512-d unit vectors, stored as float16, and 100 random queries: the hardest case for an index, as nothing lies
near anything. `--intrinsic 32` puts them all into a random subspace of 32 dimensions, nearer to what towers give.

Seconds for all queries together, and for a single one (`_one`), medians of interleaved rounds. `huse_exact` reads its
shards from disk, verified, in every run; `huse_in_memory` has them in memory in float32, as `huse serve` does, and so
have scikit-learn (`NearestNeighbors`, brute force, cosine), FAISS (`IndexFlatIP`) and usearch (`search`, exact).
`share_of_memory` is how near one query of `huse_in_memory` comes to reading all vectors at the rate that all cores
reach together. HNSW is built once, by `--float32` also of vectors stored so, and by usearch (float16, its defaults but
for the candidates a query, which are as many); its recall is that of the true 10 nearest.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.figures import show
from benchmarks.search_elsewhere import Search, exact_searches, memory_bytes_per_second, usearch_hnsw
from huse.embed.search.gallery import Gallery, nearest
from huse.embed.search.index import open_index
from huse.embed.search.index_build import HNSW, SEARCH_EFFORT
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
    matrix = np.concatenate([part.text.vectors for part in store]).astype(np.float32)
    others = exact_searches(matrix, K)
    work: dict[str, Callable[[], Any]] = {
        "huse_exact": lambda: nearest((Gallery.of(part, "text") for part in store), queries, K),
        "huse_in_memory": lambda: nearest(galleries, queries, K),
        "huse_in_memory_one": lambda: nearest(galleries, queries[:1], K),
    }
    for name, search in others.items():
        work |= {name: partial(search, queries), f"{name}_one": partial(search, queries[:1])}
    figures = interleaved(work, rounds)
    truth = [{hit.key for hit in hits} for hits in nearest(galleries, queries, K)]
    for name, search in others.items():
        figures[f"ratio_{name}"] = figures[name] / figures["huse_in_memory"]
        figures[f"ratio_{name}_one"] = figures[f"{name}_one"] / figures["huse_in_memory_one"]
        figures[f"agreement_with_{name}"] = share(keys_of(search, queries), truth)
    rate = memory_bytes_per_second(matrix)
    figures |= {"memory_gb_s": rate / 1e9, "share_of_memory": matrix.nbytes / rate / figures["huse_in_memory_one"]}
    return figures, truth


def interleaved(work: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each, of rounds in which each has its turn."""
    times = [{name: median_seconds(act, 1) for name, act in work.items()} for _ in range(rounds)]
    return {name: statistics.median(one[name] for one in times) for name in work}


def keys_of(search: Search, queries: Vectors) -> list[set[str]]:
    """The keys of what is found for each query."""
    return [{f"row-{number}" for number in row} for row in search(queries).tolist()]


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


def measure_usearch(store: Store, queries: Vectors, truth: list[set[str]], rounds: int) -> dict[str, float]:
    """The same figures of usearch's HNSW."""
    matrix = np.concatenate([part.text.vectors for part in store]).astype(np.float32)
    build, search = usearch_hnsw(matrix, K, SEARCH_EFFORT)
    return {
        "build": build,
        "queries": median_seconds(lambda: search(queries), rounds),
        "recall": share(keys_of(search, queries), truth),
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
        result |= figures
        for dtype in storages:
            other = store if dtype == "float16" else make_store(Path(folder) / dtype, rows, intrinsic, dtype)
            figures = measure_hnsw(other, queries, truth, rounds)
            result |= {f"hnsw_{dtype}_{name}": value for name, value in figures.items()}
        if storages:
            figures = measure_usearch(store, queries, truth, rounds)
            result |= {f"usearch_hnsw_{name}": value for name, value in figures.items()}
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
