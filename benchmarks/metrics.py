"""Time and memory of the exact retrieval metrics.

    python -m benchmarks.metrics [--rows 100000] [--json]

Random 512-d unit vectors of 100 classes, as many queries as gallery items. Beside the seconds stands the time of the
bare blocked products, which no exact ranking can do without, and the process's peak memory.
"""

from __future__ import annotations

import resource
import time

import click
import numpy as np

from benchmarks.figures import show
from huse.train.evaluation.metrics import BLOCK_ELEMENTS, retrieval_metrics

DIMENSION, CLASSES = 512, 100


@click.command()
@click.option("--rows", default=100_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rows: int, as_json: bool) -> None:
    """Prints the figures, which are chance, and what they cost."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2, rows, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    labels = rng.integers(0, CLASSES, (2, rows))
    began = time.perf_counter()
    metrics = retrieval_metrics(vectors[0], vectors[1], labels[0], labels[1])
    whole = time.perf_counter() - began
    step, other = max(1, BLOCK_ELEMENTS // rows), vectors[1].T
    began = time.perf_counter()
    for start in range(0, rows, step):
        vectors[0, start : start + step] @ other
    products = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    result = {**metrics, "seconds": whole, "seconds_products": products, "peak_gib": peak}
    result["full_matrix_gib"] = 4 * rows**2 / 2**30
    show(result, as_json)


if __name__ == "__main__":
    main()
