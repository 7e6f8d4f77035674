"""How many wrong labels are found again among the rows that a model is trained on.

    python -m benchmarks.doubts STORE [--share 0.05] [--folds 5] [--seed 0] [--json]

A share of the labels of the training rows is exchanged for another class's, drawn as often as the classes are. Then the
rows are judged by cross-validation, with the default preset. Beside the exchanged labels a store may have wrong ones of
its own, which count as false alarms here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import show
from huse.features.info import FEATURES
from huse.features.store import Store
from huse.train.config import FitConfig
from huse.train.cross_validation import out_of_fold
from huse.train.data.batches import NO_LABEL
from huse.train.data.task import FitData, read_fit_data
from huse.train.evaluation.doubts import doubted

CONFIG = FitConfig(memory="resident")


def with_wrong_labels(data: FitData, share: float, seed: int) -> tuple[FitData, NDArray[np.integer]]:
    """The rows with a share of the labels exchanged, and the numbers of these rows."""
    rng, rows = np.random.default_rng(seed), data.data.take(np.arange(len(data.data)))
    labeled = data.given[rows.labels[data.given] != NO_LABEL]
    wrong = rng.choice(labeled, round(share * len(labeled)), replace=False)
    labels = rows.labels.copy()
    for row in wrong:
        labels[row] = rng.choice(labels[labeled][labels[labeled] != rows.labels[row]])
    return replace(data, data=replace(rows, labels=labels)), wrong


@click.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--share", default=0.05, show_default=True, help="Of the labels that is exchanged.")
@click.option("--folds", default=5, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(store: Path, share: float, folds: int, seed: int, as_json: bool) -> None:
    """Prints how many rows were judged and doubted, and how many of the exchanged labels are among them."""
    data, wrong = with_wrong_labels(read_fit_data(Store.open(store, FEATURES), CONFIG), share, seed)
    numbers, probabilities = map(np.array, zip(*out_of_fold(data, CONFIG, folds), strict=True))
    labels = data.data.labels[numbers]
    found, _ = doubted(labels, probabilities)
    hits = np.isin(numbers[found], wrong)
    result = {
        "judged": len(numbers),
        "wrong": int(np.isin(wrong, numbers).sum()),
        "doubted": len(found),
        "wrong_among_doubted": int(hits.sum()),
        "wrong_among_as_many_first": int(hits[: len(wrong)].sum()),
        "accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
    }
    show(result, as_json)


if __name__ == "__main__":
    main()
