"""A streamed fit of more rows than its budget would hold: where an epoch's time goes, and what memory it takes.

    python -m benchmarks.streamed [--rows 2000000] [--budget 0.25] [--epochs 1] [--json]

Rows of 16-d pictures and texts in float16, 100 classes, towers of 64 units into 32 dimensions, the default batch
size; a hundredth of the rows validates. The fit runs in a process of its own. `mib_started` is its peak when it has
fitted 10,000 rows, which is TensorFlow; `mib_more` is what this store took beyond that, to be compared with
`mib_budget`.

`bytes_a_row_prepared` and `bytes_a_row_held` are what NumPy and Python hold beside vectors (`PREPARED` and `HELD` of
`huse.train.data.memory` are the bounds).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np

from benchmarks.figures import peak_mib, show
from huse.features.encoder_spec import EncoderSpec
from huse.features.info import FEATURES, StoreInfo
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.config import FitConfig, preset
from huse.train.data.task import prepare
from huse.train.fit import fit_model

DIMENSION, CLASSES, SHARD, FEW = 16, 100, 10_000, 10_000
SPECS = [EncoderSpec("random", modality, DIMENSION, "none", "0") for modality in ("image", "text")]


def make_store(folder: Path, rows: int) -> Path:
    """A store of rows whose vectors lie around those of their class."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(CLASSES, 2 * DIMENSION)).astype(np.float32)
    store = Store.create(folder, StoreInfo(FEATURES, SPECS[0], SPECS[1], SHARD, "float16"))
    for index in range(rows // SHARD):
        part = Rows.empty(SHARD, DIMENSION, DIMENSION)
        classes = rng.integers(0, CLASSES, SHARD)
        vectors = centers[classes] + rng.normal(size=(SHARD, 2 * DIMENSION)).astype(np.float32)
        part.key[:] = [f"row-{index * SHARD + i}" for i in range(SHARD)]
        part.label[:] = [f"class {number:03d}" for number in classes]
        for its, own in zip((part.image, part.text), np.split(vectors, 2, axis=1), strict=True):
            its.vectors[:], its.present[:] = own, True
            its.digest[:] = rng.integers(0, 256, (SHARD, 16))
        store.write_many({index: part})
    store.write_plan(rows // SHARD)
    return folder


def streamed_config(budget: float, epochs: int) -> FitConfig:
    """Small towers, features from the disk."""
    small = {"dimension": 32, "hidden_units": 64, "refit": False, "val_fraction": 0.01}
    return preset("default", **small, epochs=epochs, memory="streamed", memory_budget=budget)


def fit_twice(few: Path, store: Path, out: Path, budget: float, epochs: int) -> dict[str, Any]:
    """Fits the small store, and then the large one, and measures the latter."""
    fit_model(few, out / "model-of-few", streamed_config(budget, 1))
    started = peak_mib()
    summary = fit_model(store, out / "model", streamed_config(budget, epochs))
    names = ("seconds", "seconds_prepare", "seconds_read", "seconds_train", "seconds_validate")
    return {
        **{name: getattr(summary, name) for name in names},
        "mib_budget": budget * 1024,
        "mib_started": started,
        "mib_more": peak_mib() - started,
    }


def bytes_a_row(store: Path, rows: int, budget: float) -> dict[str, float]:
    """What the rows take while they are looked up, and afterwards."""
    tracemalloc.start()
    task = prepare(Store.open(store), streamed_config(budget, 1))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    held -= task.val.image.vectors.nbytes + task.val.text.vectors.nbytes
    return {"bytes_a_row_prepared": peak / rows, "bytes_a_row_held": held / rows}


def measure(rows: int, budget: float, epochs: int) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few, store = make_store(folder / "few", FEW), make_store(folder / "store", rows)
        child = ["--child", str(few), str(store), str(folder), "--budget", str(budget), "--epochs", str(epochs)]
        command = [sys.executable, "-m", "benchmarks.streamed", *child]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return {"rows": rows, **json.loads(done.stdout.splitlines()[-1]), **bytes_a_row(store, rows, budget)}


@click.command()
@click.option("--rows", default=2_000_000, show_default=True)
@click.option("--budget", default=0.25, show_default=True, help="GiB.")
@click.option("--epochs", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@click.option("--child", nargs=3, type=click.Path(path_type=Path), hidden=True)
def main(rows: int, budget: float, epochs: int, as_json: bool, child: tuple[Path, Path, Path] | None) -> None:
    """Prints the figures."""
    if child:
        click.echo(json.dumps(fit_twice(*child, budget, epochs)))
        return
    show(measure(rows, budget, epochs), as_json)


if __name__ == "__main__":
    main()
