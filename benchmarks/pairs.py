"""What rows without a label add to a fit, on validation rows of a store.

    python -m benchmarks.pairs STORE [--labels 0.1] [--seeds 3] [--small] [--only NAME ...] [--json]

Each seed sets a fifth of the labeled training rows aside to measure on, and leaves a share of the others their
labels, at least one a class. A fit then goes the whole way with what it is given: it holds rows out of its own, looks
for the best epoch, and trains again on all. Test rows are never looked at.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from huse.features.info import FEATURES
from huse.features.store import Store
from huse.train.config import FitConfig, preset
from huse.train.data.batches import NO_LABEL, TrainingRows
from huse.train.data.hold_out import hold_out
from huse.train.data.task import FitData, read_fit_data
from huse.train.evaluation.measure import metrics_of
from huse.train.fit import fit_towers
from huse.train.loop.training import steps_per_epoch
from huse.train.network.forward import features_of, make_forward

ASIDE = 0.2
WITHOUT = "without pairs"
AS_MANY_STEPS = "without pairs, as many steps"
VARIANTS: dict[str, dict[str, Any]] = {
    WITHOUT: {"pair_weight": 0.0},
    AS_MANY_STEPS: {"pair_weight": 0.0, "val_fraction": 0.0},
    "with pairs": {},
    "gap alone": {"pair_weight": 1e-9},
    "weight 0.1": {"pair_weight": 0.1},
    "weight 1": {"pair_weight": 1.0},
    "batch 128": {"batch_size": 128},
    "batch 2048": {"batch_size": 2048},
}
"""Each against the default; without pairs also with the steps that pairs take, none of them saved by validation."""

SMALL = {"hidden_units": 256, "dimension": 128}
WAYS = ("image_to_text", "text_to_image")
COLUMNS = ("image", "text", "fused", "R@1 i2t", "R@1 t2i", "mAP i2t", "mAP t2i", "own i2t", "own t2i")


def partly_labeled(store: Store, share: float, seed: int) -> tuple[FitData, TrainingRows]:
    """Training rows of which a share keeps its label, and rows set aside that are measured."""
    data = read_fit_data(store, preset("default", memory="resident"))
    rows = data.data.take(np.arange(len(data.data)))
    given = np.concatenate([data.given, data.given_val])
    given = given[rows.labels[given] != NO_LABEL]
    labels = rows.labels.copy()
    aside = hold_out(labels[given], ASIDE, seed, groups=None if data.group is None else data.group[given])
    measured = rows.take(given[aside])
    rest = given[~aside]
    kept = ~hold_out(labels[rest], 1 - share, seed)  # never all of a class
    labels[rest[~kept]] = NO_LABEL
    return replace(data, data=replace(rows, labels=labels), given=rest, given_val=rest[:0]), measured


def config_of(name: str, data: FitData, seed: int, small: bool) -> FitConfig:
    """The configuration of a variant."""
    config = preset("default", seed=seed, **VARIANTS[name], **(SMALL if small else {}))
    if name != AS_MANY_STEPS:
        return config
    steps = [steps_per_epoch(config, len(data.split(each).train)) for each in (preset("default"), config)]
    return replace(config, epochs=round(config.epochs * steps[0] / steps[1]))


def measure(data: FitData, measured: TrainingRows, config: FitConfig) -> list[float]:
    """The figures of one fit, in the order of `COLUMNS`."""
    best = fit_towers(data.split(config), config)
    outputs = make_forward(best.network)(features_of(measured, best.network))
    labels: NDArray[np.object_] = np.array(data.classes, object)[measured.labels]
    metrics = metrics_of(outputs, measured, labels, best.fusion_weight)
    figures = [metrics["accuracy"][kind] for kind in ("image", "text", "fused")]
    figures += [metrics["retrieval"][way][name] for name in ("r_at_1", "map") for way in WAYS]
    return figures + [metrics["instances"][way]["r_at_1"] for way in WAYS]


@click.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--labels", default=0.1, show_default=True, help="Share of the labels that is kept.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--small", is_flag=True, help="Towers of 256 units into 128 dimensions.")
@click.option("--only", multiple=True, help="Variants to run; all by default.")
@click.option("--json", "as_json", is_flag=True)
def main(store: Path, labels: float, seeds: int, small: bool, only: tuple[str, ...], as_json: bool) -> None:
    """Prints the mean over seeds of each variant's figures; `own` is R@1 by instance."""
    opened, results = Store.open(store, FEATURES), {}
    parts = [partly_labeled(opened, labels, seed) for seed in range(seeds)]
    if not as_json:
        click.echo(f"{'variant':<34}" + "".join(f"{name:>9}" for name in COLUMNS))
    for name in only or VARIANTS:
        runs = [measure(*part, config_of(name, part[0], seed, small)) for seed, part in enumerate(parts)]
        mean, spread = np.mean(runs, axis=0), np.std(runs, axis=0)
        results[name] = {column: [*pair] for column, *pair in zip(COLUMNS, mean.tolist(), spread.tolist(), strict=True)}
        if not as_json:
            click.echo(f"{name:<34}" + "".join(f"{value:9.3f}" for value in mean))
    if as_json:
        click.echo(json.dumps(results))


if __name__ == "__main__":
    main()
