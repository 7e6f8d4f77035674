"""What a small shard costs: `python -m benchmarks.shards [--shards 2000] [--rows 10] [--json]`.

Shards of a few rows with 512-d features of both modalities, milliseconds each, median of three rounds:

- make: rows to the bytes of a file, on one core, without the disk;
- write: to the disk, synced and renamed, many at once as `WriteBehind` does;
- read: a shard whole, all digests checked;
- embed: all of `huse embed`, from shards on disk to shards on disk, with towers of the default preset.

Every round writes to a folder of its own, and nothing is deleted before the last: ext4 looks at each file that was
deleted a moment ago when it makes one, which took a third of a millisecond a shard.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np

from benchmarks.embed import IMAGE, TEXT, make_model, random_rows
from benchmarks.figures import show
from huse.embed.embed import embed_source
from huse.embed.model import Model
from huse.features.info import FEATURES, StoreInfo
from huse.features.rows import Rows
from huse.features.shards.shard import shard_bytes
from huse.features.store import Store
from huse.features.write_behind import WriteBehind
from huse.train.artifact.model_folder import load_model

ROUNDS = 3


def new_store(folder: Path, rows: int) -> Store:
    """A store of features without shards."""
    info = StoreInfo(FEATURES, IMAGE, TEXT, rows, "float16")
    return Store.create(tempfile.mkdtemp(dir=folder), info)


def write(store: Store, parts: list[Rows]) -> None:
    """Fills a store."""
    store.write_plan(len(parts))
    with WriteBehind(store) as behind:
        for index, part in enumerate(parts):
            behind.write(index, part)


def milliseconds(act: Callable[[], object], shards: int) -> float:
    """Time a shard, median of the rounds."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds) / shards


def measure(shards: int, rows: int) -> dict[str, float]:
    """All figures."""
    many = random_rows(np.random.default_rng(0), 0)
    parts = [many.take(np.arange(i * rows, (i + 1) * rows) % len(many)) for i in range(shards)]
    for index, part in enumerate(parts):
        part.key[:] = [f"{index}-{i}" for i in range(rows)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = new_store(folder, rows)
        write(store, parts)
        attributes = store._attributes(0)
        figures = {
            "make_ms": milliseconds(lambda: [shard_bytes(folder, p, attributes, "float16", "") for p in parts], shards),
            "write_ms": milliseconds(lambda: write(new_store(folder, rows), parts), shards),
            "read_ms": milliseconds(lambda: [store.read(index) for index in range(shards)], shards),
        }
        make_model(folder / "model", many)
        model = Model(load_model(folder / "model"))

        def embed() -> None:
            embed_source(model, store.path, tempfile.mkdtemp(dir=folder))

        embed()  # compiles
        figures["embed_ms"] = milliseconds(embed, shards)
    return {"shards": shards, "rows": rows, **figures}


@click.command()
@click.option("--shards", default=2000, show_default=True)
@click.option("--rows", default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(shards: int, rows: int, as_json: bool) -> None:
    """Prints the figures."""
    show(measure(shards, rows), as_json)


if __name__ == "__main__":
    main()
