"""`huse embed` against the towers' bare forward pass: `python -m benchmarks.embed [--rows 200000] [--json]`.

Random 512-d features of both modalities in a store of float16 shards. In every round each contestant takes all
rows once:

- forward: the towers on one shard that is in memory, as often as there are shards;
- huse: `embed_source`, from shards on disk to shards on disk, with classes, probabilities, checksums and sync.

Many small shards, 2,000 of 10 rows, are embedded too.

Peak memory is that of a process of its own that embeds a quarter of the rows, and all of them.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np

from benchmarks.figures import peak_mib, show
from huse.embed.embed import embed_source
from huse.embed.model import Model
from huse.features.encoder_spec import EncoderSpec
from huse.features.info import FEATURES, StoreInfo
from huse.features.modality import MODALITIES
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel, load_model
from huse.train.config import preset
from huse.train.data.batches import TrainingRows
from huse.train.network.forward import features_of
from huse.train.network.towers import build_towers

DIMENSION, CLASSES, SHARD, SMALL = 512, 100, 10_000, 10
IMAGE, TEXT = (EncoderSpec("random", modality, DIMENSION, "none", "0") for modality in MODALITIES)


def random_rows(rng: np.random.Generator, start: int) -> Rows:
    """One shard of random rows."""
    rows = Rows.empty(SHARD, DIMENSION, DIMENSION)
    rows.key[:] = [f"row-{start + i}" for i in range(SHARD)]
    rows.caption[:] = [f"a caption of some thirty letters {start + i}" for i in range(SHARD)]
    rows.uri[:] = [f"images/{start + i}.jpg" for i in range(SHARD)]
    for _, its in rows.modalities.items():
        its.vectors[:] = rng.random((SHARD, DIMENSION), np.float32)
        its.present[:] = True
        its.digest[:] = rng.integers(1, 255, (SHARD, 16))
    return rows


def make_store(folder: Path, rows: int) -> Store:
    """A store of random rows."""
    rng = np.random.default_rng(0)
    store = Store.create(folder, StoreInfo(FEATURES, IMAGE, TEXT, SHARD, "float16"))
    store.write_plan(rows // SHARD)
    for index in range(rows // SHARD):
        store.write(index, random_rows(rng, index * SHARD))
    return store


def make_model(folder: Path, shard: Rows) -> None:
    """Untrained towers of the default preset, which are as fast as trained ones."""
    classes = [f"class {i:03d}" for i in range(CLASSES)]
    shard.label[:] = [classes[i % CLASSES] for i in range(SHARD)]
    config = preset("default")
    network = build_towers(TrainingRows.of(shard, classes), np.arange(SHARD), CLASSES, config)
    TrainedModel(network, config, IMAGE, TEXT, classes, np.zeros((CLASSES, CLASSES), np.float32), 0.5).save(folder)


def peak_memory(model: Path, store: Path, out: Path) -> float:
    """MiB at the peak of a process that embeds a store."""
    command = [sys.executable, "-m", "benchmarks.embed", "--child", str(model), str(store), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def small_shards(folder: Path, model: Model) -> float:
    """Milliseconds a shard of 10 rows, of 2,000."""
    store = Store.create(folder / "small", StoreInfo(FEATURES, IMAGE, TEXT, SMALL, "float16"))
    rows = random_rows(np.random.default_rng(0), 0)
    for start in range(0, SHARD, 100 * SMALL):
        places = range(start, start + 100 * SMALL, SMALL)
        store.write_many({at // SMALL: rows.take(range(at, at + SMALL)) for at in places})
    more = [rows.take(range(at, at + SMALL)) for at in range(0, SHARD, SMALL)]
    for part in more:
        part.key[:] = [f"more-{key}" for key in part.key]
    count = SHARD // SMALL
    store.write_many({count + i: part for i, part in enumerate(more)})
    store.write_plan(2 * count)
    began = time.perf_counter()
    embed_source(model, store.path, folder / "small-out")
    return (time.perf_counter() - began) * 1000 / (2 * count)


def measure(rows: int, rounds: int) -> dict[str, float]:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = make_store(folder / "all", rows)
        quarter = make_store(folder / "quarter", max(rows // 4, SHARD))
        shard = store.read(0)
        make_model(folder / "model", shard)
        trained = load_model(folder / "model")
        inputs = features_of(shard, trained.network)
        trained.forward(inputs)  # compiles
        seconds: dict[str, list[float]] = {"forward": [], "huse": []}
        for _ in range(rounds):
            began = time.perf_counter()
            for _ in store.shard_numbers():
                trained.forward(inputs)
            seconds["forward"].append(time.perf_counter() - began)
            began = time.perf_counter()
            embed_source(Model(trained), store.path, folder / "out")
            seconds["huse"].append(time.perf_counter() - began)
            shutil.rmtree(folder / "out")
        small = small_shards(folder, Model(trained))
        few, many = (peak_memory(folder / "model", s.path, folder / f"{s.path.name}-out") for s in (quarter, store))
    ratio = statistics.median(a / b for a, b in zip(*seconds.values(), strict=True))
    return {
        "rows": rows,
        "gflop_a_row": 2e-9 * trained.network.count_params(),
        **{f"{name}_rows_per_s": rows / statistics.median(values) for name, values in seconds.items()},
        "ratio_forward": ratio,
        "ms_a_small_shard": small,
        "mib_at_quarter": few,
        "mib_at_all": many,
    }


@click.command()
@click.option("--rows", default=200_000, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@click.option("--child", nargs=3, type=click.Path(path_type=Path), hidden=True)
def main(rows: int, rounds: int, as_json: bool, child: tuple[Path, Path, Path] | None) -> None:
    """Prints the figures."""
    if child:
        embed_source(*child)
        click.echo(peak_mib())
        return
    result = measure(rows, rounds)
    show(result, as_json)


if __name__ == "__main__":
    main()
