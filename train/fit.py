"""`huse fit`: from a store to a saved model, with early stopping on validation retrieval."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from huse.features.store import FEATURES, Store
from huse.train.config import FitConfig
from huse.train.evaluate import best_fusion_weight, figures, validation_score
from huse.train.forward import features_of, make_forward
from huse.train.loop import epochs_of, run_epochs, steps_per_epoch
from huse.train.model_folder import TrainedModel, require_free
from huse.train.task import Task, prepare
from huse.train.towers import build_towers

STEPS_BETWEEN_VALIDATIONS = 4
"""Validation waits for at least this many steps, so that tiny epochs do not spend their time on it."""


@dataclass(frozen=True)
class FitSummary:
    """What a fit did.

    Attributes:
        classes: number of classes.
        train_rows: rows trained on while looking for the best epoch.
        val_rows: rows that chose the epoch and the fusion weight.
        epochs: epochs run while looking for the best.
        best_epoch: the epoch with the best validation score.
        refit: whether the towers were then trained on the held out rows too.
        seconds: wall time, reading the store included.
        metrics: validation figures of the best epoch.
    """

    classes: int
    train_rows: int
    val_rows: int
    epochs: int
    best_epoch: int
    refit: bool
    seconds: float
    metrics: dict[str, Any]


@dataclass
class Best:
    """The best epoch of a search, and the figures and weights it had."""

    network: keras.Model
    epoch: int
    metrics: dict[str, Any]
    fusion_weight: float
    history: list[dict[str, Any]]


def fit_model(
    store: str | Path,
    model: str | Path,
    config: FitConfig = FitConfig(),
    semantic_graph: str = "names",
    overwrite: bool = False,
) -> FitSummary:
    """Trains the towers on the cached vectors of a store and saves them: `huse fit`.

    Args:
        store: features with labels.
        model: the model folder to write.
        config: hyperparameters.
        semantic_graph: ``names``, ``taxonomy`` or a .npy file, see `load_graph`.
        overwrite: replace a model that is there.

    Raises:
        FitError: the store or the options do not allow training.
        StoreError: the store cannot be opened.
        ShardError: a shard is damaged.
    """
    start = time.perf_counter()
    require_free(Path(model), overwrite)
    source = Store.open(store, FEATURES)
    task = prepare(source, config, semantic_graph)
    best = fit_towers(task, config)
    TrainedModel(
        best.network,
        config,
        source.info.image,
        source.info.text,
        task.classes,
        task.graph,
        best.fusion_weight,
        best.metrics,
        best.history,
    ).save(Path(model), overwrite)
    return FitSummary(
        classes=len(task.classes),
        train_rows=task.train_rows,
        val_rows=len(task.val),
        epochs=sum(entry["phase"] == "search" for entry in best.history),
        best_epoch=best.epoch,
        refit=any(entry["phase"] == "refit" for entry in best.history),
        seconds=time.perf_counter() - start,
        metrics=best.metrics,
    )


def fit_towers(task: Task, config: FitConfig) -> Best:
    """Looks for the best epoch and, if the configuration says so, trains once more on the held out rows too."""
    best = search_best(task, config)
    if config.refit and task.everything is not None:
        best.network = _refit(task, config, best)
    return best


def search_best(task: Task, config: FitConfig) -> Best:
    """Trains with early stopping and keeps the network as it was after its best epoch."""
    network = build_towers(task.train, len(task.classes), config)
    forward = make_forward(network)
    best = Best(network, 0, {}, 0.5, [])
    score, weights = -np.inf, network.get_weights()
    every = max(1, STEPS_BETWEEN_VALIDATIONS // steps_per_epoch(config, len(task.train)))
    epochs = epochs_of(config, len(task.train))
    with tqdm(total=epochs, desc="fit", unit="epoch", disable=None) as bar:
        for entry in run_epochs(network, task.train, task.graph, task.class_vectors, config):
            best.history.append({"phase": "search", **entry})
            bar.update()
            bar.set_postfix(loss=f"{entry['loss']:.3f}", val=f"{score:.3f}")
            epoch = int(entry["epoch"])
            if not len(task.val) or (epoch % every and epoch != epochs):
                continue
            outputs = forward(features_of(task.val_rows, network))
            weight = best_fusion_weight(outputs, task.val)
            metrics = figures(outputs, task.val, task.val_rows.label, weight)
            best.history[-1]["val_score"] = now = validation_score(metrics)
            if now > score:
                score, weights = now, network.get_weights()
                best.epoch, best.metrics, best.fusion_weight = epoch, metrics, weight
            elif config.patience and epoch - best.epoch >= config.patience:
                break
    if best.epoch:
        network.set_weights(weights)
    else:
        best.epoch = epochs
    return best


def _refit(task: Task, config: FitConfig, best: Best) -> keras.Model:
    """Fresh towers, trained on all rows for as many epochs as the search found best."""
    data = task.everything or task.train
    network = build_towers(data, len(task.classes), config)
    with tqdm(total=best.epoch, desc="refit", unit="epoch", disable=None) as bar:
        for entry in run_epochs(network, data, task.graph, task.class_vectors, config):
            best.history.append({"phase": "refit", **entry})
            bar.update()
            bar.set_postfix(loss=f"{entry['loss']:.3f}")
            if entry["epoch"] >= best.epoch:
                break
    return network
