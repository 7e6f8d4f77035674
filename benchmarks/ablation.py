"""What each part of the default preset is worth, on validation rows of a store.

    python -m benchmarks.ablation STORE [--seeds 3] [--json]

Every line changes one thing of the default preset. Each seed holds out other rows and starts from other weights; test
rows are never looked at.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from huse.features.info import FEATURES
from huse.features.store import Store
from huse.train.config import preset
from huse.train.data.task import prepare
from huse.train.evaluation.measure import hierarchical_metrics_of
from huse.train.loop.search import search_best
from huse.train.network.forward import features_of, make_forward

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no class probabilities in the embedding": {"blend": 0.0},
    "blend 0.5": {"blend": 0.5},
    "blend 0.9": {"blend": 0.9},
    "no contrastive loss": {"delta": 0.0},
    "contrastive temperature 0.1": {"temperature": 0.1},
    "no gap loss": {"gamma": 0.0},
    "no graph loss": {"beta": 0.0},
    "graph loss x 10": {"beta": 10.0},
    "margin as printed": {"margin": "paper"},
    "no class names as texts": {"class_names": False},
    "no square root": {"square_root": False},
    "no standardizing": {"standardize": False},
    "dense logits": {"logits": "dense", "blend": 0.0},
    "dropout 0.3, none on inputs": {"dropout": 0.3, "input_dropout": 0.0},
    "no linear shortcut": {"shortcut": False},
    "two hidden layers": {"image_layers": 2, "text_layers": 2},
}
WAYS = ("image_to_text", "text_to_image")
COLUMNS = ("image", "text", "fused", "R@1 i2t", "R@1 t2i", "mAP i2t", "mAP t2i", "HP@5 i2t", "HP@5 t2i")


def measure(store: Store, seed: int, changes: dict[str, Any]) -> list[float]:
    """Validation figures of one configuration, in the order of `COLUMNS`."""
    config = preset("default", seed=seed, **changes)
    task = prepare(store, config)
    best = search_best(task, config)
    outputs = make_forward(best.network)(features_of(task.val, best.network))
    hierarchical = hierarchical_metrics_of(outputs, task.val, task.val_labels)
    figures = [best.metrics["accuracy"][name] for name in ("image", "text", "fused")]
    figures += [best.metrics["retrieval"][way][name] for name in ("r_at_1", "map") for way in WAYS]
    return figures + [hierarchical[way]["hp_at_5"] or 0.0 for way in WAYS]


@click.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--seeds", default=3, show_default=True)
@click.option("--only", multiple=True, help="Variants to run; all by default.")
@click.option("--json", "as_json", is_flag=True)
def main(store: Path, seeds: int, only: tuple[str, ...], as_json: bool) -> None:
    """Prints the mean over seeds of each variant's validation figures."""
    opened, results = Store.open(store, FEATURES), {}
    if not as_json:
        click.echo(f"{'variant':<40}" + "".join(f"{name:>9}" for name in COLUMNS))
    for name in only or VARIANTS:
        mean = np.mean([measure(opened, seed, VARIANTS[name]) for seed in range(seeds)], axis=0)
        results[name] = dict(zip(COLUMNS, mean.tolist(), strict=True))
        if not as_json:
            click.echo(f"{name:<40}" + "".join(f"{value:9.3f}" for value in mean))
    if as_json:
        click.echo(json.dumps(results))


if __name__ == "__main__":
    main()
