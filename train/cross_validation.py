"""What towers say of the rows that a model was trained on, when they were trained without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.features.errors import FitError
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel
from huse.train.config import FitConfig
from huse.train.data.batches import NO_LABEL
from huse.train.data.folds import folds_of
from huse.train.data.task import FitData, read_fit_data
from huse.train.fit import fit_towers
from huse.train.network.forward import class_probabilities, features_of, make_forward


def cross_validated(store: Store, trained: TrainedModel, folds: int) -> dict[str, NDArray[np.float32]]:
    """By key (K,) fused class probabilities of the labeled training rows, each of towers that were fitted without it.

    The training rows are dealt into folds, rows of equal content together, and for each fold new towers are fitted to
    the others, with the settings and the semantic graph of the model: as many fits as folds. A row whose class no other
    fold has is left out, as nothing could tell of it.

    Args:
        store: what the model was trained on.
        trained: the model.
        folds: how many, at least 2.

    Raises:
        FitError: the classes of the store are not the model's, or too few rows are left to fit to.
        ShardError: a shard is damaged.
    """
    if folds < 2:
        raise FitError(f"folds={folds} (--folds): it must be at least 2")
    data = replace(read_fit_data(store, trained.config), graph=trained.graph)
    if data.classes != trained.classes or data.catalog is None:
        raise FitError(
            f"{store.path}: its training rows are of other classes than the model's; name the store that the model was "
            "trained on, or leave the folds out (--folds)"
        )
    keys = data.catalog.keys(store)
    return {str(keys[row]): probabilities for row, probabilities in out_of_fold(data, trained.config, folds)}


def out_of_fold(data: FitData, config: FitConfig, folds: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The number of each row that can be judged, and its probabilities; arguments as `cross_validated`."""
    given, labels = data.given, data.data.labels[data.given]
    fold = folds_of(labels, given if data.group is None else data.group[given], folds, config.seed)
    for number in tqdm(np.unique(fold), desc="cross-validation", unit="fold", disable=None):
        rest = fold != number
        rows = given[~rest & np.isin(labels, labels[rest]) & (labels != NO_LABEL)]
        if len(rows):
            best = fit_towers(replace(data, given=given[rest]).split(config), config)
            held = data.data.take(rows)
            outputs = make_forward(best.network)(features_of(held, best.network))
            fused = class_probabilities(outputs, held.present, best.fusion_weight)["fused"]
            yield from zip(map(int, rows), fused, strict=True)
