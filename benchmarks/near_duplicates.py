"""Time and memory of near duplicates across splits, on a store made for it.

    python -m benchmarks.near_duplicates [--rows 100000] [--dimension 512] [--memory-mib 256] [--json]

Random image vectors in float16, in shards of 10,000; every tenth row is a test row, and one test row of a hundred is
nearly a training row. Beside the time stand the seconds of all processors, those of the bare products of the same
blocks, and the peak memory of the process with what it was before.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import numpy as np

from benchmarks.figures import peak_mib, show
from huse.features.encoder_spec import EncoderSpec
from huse.features.info import FEATURES, StoreInfo
from huse.features.near_duplicates import BLOCK, find_near_duplicates
from huse.features.rows import Rows
from huse.features.store import Store

SHARD, EVERY = 10_000, 1_000


def make_store(folder: Path, rows: int, dimension: int) -> Store:
    """The store, written a shard at a time."""
    spec = EncoderSpec("random", "image", dimension, "none", "0")
    store, rng = Store.create(folder, StoreInfo(FEATURES, spec, None, SHARD, "float16")), np.random.default_rng(0)
    for number, start in enumerate(range(0, rows, SHARD)):
        part = Rows.empty(min(SHARD, rows - start), dimension, 0)
        part.key[:] = [str(start + i) for i in range(len(part))]
        part.split[:] = ["test" if i % 10 == 0 else "train" for i in range(len(part))]
        part.image.vectors[:] = rng.normal(size=part.image.vectors.shape)
        part.image.vectors[::EVERY] = part.image.vectors[1::EVERY] + 0.1 * part.image.vectors[::EVERY]
        part.image.present[:] = True
        store.write(number, part)
    return store


def seconds_of_products(rows: int, dimension: int) -> float:
    """Seconds of processors that the products of all blocks take, of how long some of them take."""
    held, block = np.ones((BLOCK // 4, dimension), np.float32), np.ones((dimension, BLOCK), np.float32)
    rounds = 50
    began = time.process_time()
    for _ in range(rounds):
        held @ block
    each = (time.process_time() - began) / rounds
    return each * (0.1 * rows) * (0.9 * rows) / (len(held) * block.shape[1])


@click.command()
@click.option("--rows", default=100_000, show_default=True)
@click.option("--dimension", default=512, show_default=True)
@click.option("--memory-mib", default=256, show_default=True, help="Of vectors that are held.")
@click.option("--json", "as_json", is_flag=True)
def main(rows: int, dimension: int, memory_mib: int, as_json: bool) -> None:
    """Prints what was found and what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder) / "s", rows, dimension)
        before, began, of_processors = peak_mib(), time.perf_counter(), time.process_time()
        found = find_near_duplicates(store, 0.95, memory=memory_mib << 20)
        seconds, of_processors = time.perf_counter() - began, time.process_time() - of_processors
    result = {
        "pairs": found.count["image"],
        "seconds": seconds,
        "seconds_of_processors": of_processors,
        "seconds_products": seconds_of_products(rows, dimension),
        "mib_before": before,
        "peak_mib": peak_mib(),
    }
    show(result, as_json)


if __name__ == "__main__":
    main()
