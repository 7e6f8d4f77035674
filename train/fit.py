"""`huse fit`: from a store to a saved model, with early stopping on validation retrieval."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.features.errors import FitError
from huse.features.rows import Rows, concatenate
from huse.features.store import FEATURES, Store
from huse.train.batches import TrainingRows, hold_out
from huse.train.config import FitConfig
from huse.train.evaluate import best_fusion_weight, figures, validation_score
from huse.train.forward import features_of, make_forward
from huse.train.loop import epochs_of, run_epochs, steps_per_epoch
from huse.train.model_folder import TrainedModel, require_free
from huse.train.semantic_graph import graph_from_taxonomy, graph_from_vectors
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
class _Best:
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

    Rows of split ``train``, and rows without a split, are trained on; rows of split ``val`` choose the epoch and the
    fusion weight. Without any, `config.val_fraction` of the training rows is held out for that.

    Args:
        store: features with labels.
        model: the model folder to write.
        config: hyperparameters.
        semantic_graph: ``names`` (class names through the text encoder, made by stage 1), ``taxonomy`` (label paths),
            or a .npy file with a K x K matrix in the order of the sorted labels.
        overwrite: replace a model that is there.

    Raises:
        FitError: the store or the options do not allow training.
        StoreError: the store cannot be opened.
        ShardError: a shard is damaged.
    """
    start = time.perf_counter()
    require_free(Path(model), overwrite)
    source = Store.open(store, FEATURES)
    train_rows, val_rows, held_out = _split(_labeled(source), config, source.path)
    classes = sorted({*train_rows.label, *held_out.label})
    graph = load_graph(semantic_graph, source, classes)
    names = _class_texts(source, classes, config)
    train = TrainingRows.of(train_rows, classes).with_texts(*names)
    best = _search(train, val_rows, classes, graph, config)
    refit = config.refit and len(held_out) > 0
    if refit:
        everything = TrainingRows.of(concatenate([train_rows, held_out]), classes).with_texts(*names)
        best.network = _refit(everything, graph, config, best)
    TrainedModel(
        best.network,
        config,
        source.info.image,
        source.info.text,
        classes,
        graph,
        best.fusion_weight,
        best.metrics,
        best.history,
    ).save(Path(model), overwrite)
    return FitSummary(
        classes=len(classes),
        train_rows=len(train_rows),
        val_rows=len(val_rows),
        epochs=sum(entry["phase"] == "search" for entry in best.history),
        best_epoch=best.epoch,
        refit=refit,
        seconds=time.perf_counter() - start,
        metrics=best.metrics,
    )


def load_graph(semantic_graph: str, store: Store, classes: list[str]) -> NDArray[np.float32]:
    """The semantic graph (K, K) of the classes, in their order; see `fit_model`.

    Raises:
        FitError: the store has no vector for a class name, or the file does not hold such a matrix.
    """
    if semantic_graph == "taxonomy":
        return graph_from_taxonomy(classes)
    if semantic_graph == "names":
        return _graph_of_names(store, classes)
    try:
        graph = np.load(semantic_graph, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FitError(f"--semantic-graph {semantic_graph}: not names, taxonomy or a .npy file ({error})") from error
    if graph.shape != (len(classes), len(classes)) or not np.isfinite(graph).all():
        raise FitError(
            f"--semantic-graph {semantic_graph}: shape {graph.shape}; "
            f"it must hold {len(classes)} x {len(classes)} finite distances, in the order of the sorted labels"
        )
    return np.asarray(graph, dtype=np.float32)


def _graph_of_names(store: Store, classes: list[str]) -> NDArray[np.float32]:
    stored = store.read_classes()
    number = {label: i for i, label in enumerate(stored.labels)} if stored else {}
    missing = [label for label in classes if label not in number]
    if stored is None or missing:
        raise FitError(
            f"{store.path}: no vector for the class names; run huse extract again, or use --semantic-graph taxonomy"
        )
    return graph_from_vectors(stored.vectors[[number[label] for label in classes]])


def _class_texts(store: Store, classes: list[str], config: FitConfig) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The class names as texts to train on and their class numbers; none where they are not of the text encoder."""
    stored = store.read_classes()
    none = np.zeros((0, store.info.text.dimension if store.info.text else 0), np.float32), np.zeros(0, np.int32)
    if not config.class_names or stored is None or stored.encoder != str(store.info.text):
        return none
    known = [i for i, label in enumerate(stored.labels) if label in set(classes)]
    numbers = [classes.index(stored.labels[i]) for i in known]
    return stored.vectors[known], np.array(numbers, np.int32)


def _labeled(store: Store) -> Rows:
    rows = store.load()
    usable = rows.has_image | rows.has_text
    unlabeled = usable & (rows.label == "") & (rows.split != "test")
    if unlabeled.any():
        first = rows.key[int(np.argmax(unlabeled))]
        warnings.warn(
            f"{int(unlabeled.sum())} rows have no label, the first is key {first!r}; they are not trained on",
            stacklevel=3,
        )
    return rows.take(usable & (rows.label != ""))


def _split(rows: Rows, config: FitConfig, path: Path) -> tuple[Rows, Rows, Rows]:
    """Rows to train on, rows to validate on, and those of the latter that were held out of the training rows."""
    train = rows.take((rows.split == "train") | (rows.split == ""))
    val = rows.take(rows.split == "val")
    if len(set(train.label)) < 2:
        raise FitError(f"{path}: {len(train)} labeled training rows of {len(set(train.label))} classes; 2 are needed")
    if len(val):
        return train, val, val.take(np.zeros(len(val), bool))
    held = hold_out(train.label, config.val_fraction, config.seed)
    return train.take(~held), train.take(held), train.take(held)


def _search(
    train: TrainingRows, val_rows: Rows, classes: list[str], graph: NDArray[np.float32], config: FitConfig
) -> _Best:
    """Trains with early stopping and keeps the weights of the best epoch."""
    val = TrainingRows.of(val_rows, classes)
    network = build_towers(train.image[train.has_image], train.text[train.has_text], len(graph), config)
    forward = make_forward(network)
    best = _Best(network, 0, {}, 0.5, [])
    score, weights = -np.inf, network.get_weights()
    every = max(1, STEPS_BETWEEN_VALIDATIONS // steps_per_epoch(config, len(train)))
    epochs = epochs_of(config, len(train))
    with tqdm(total=epochs, desc="fit", unit="epoch", disable=None) as bar:
        for entry in run_epochs(network, train, graph, config):
            best.history.append({"phase": "search", **entry})
            bar.update()
            bar.set_postfix(loss=f"{entry['loss']:.3f}", val=f"{score:.3f}")
            epoch = int(entry["epoch"])
            if len(val) and (epoch % every == 0 or epoch == epochs):
                outputs = forward(features_of(val_rows, network))
                weight = best_fusion_weight(outputs, val)
                metrics = figures(outputs, val, val_rows.label, weight)
                now = validation_score(metrics)
                best.history[-1]["val_score"] = now
                if now > score:
                    score, weights, best.epoch, best.metrics = now, network.get_weights(), epoch, metrics
                    best.fusion_weight = weight
                elif config.patience and epoch - best.epoch >= config.patience:
                    break
    if best.epoch:
        network.set_weights(weights)
    else:
        best.epoch = epochs
    return best


def _refit(data: TrainingRows, graph: NDArray[np.float32], config: FitConfig, best: _Best) -> keras.Model:
    """Fresh towers, trained on all rows for as many epochs as the search found best."""
    network = build_towers(data.image[data.has_image], data.text[data.has_text], len(graph), config)
    with tqdm(total=best.epoch, desc="refit", unit="epoch", disable=None) as bar:
        for entry in run_epochs(network, data, graph, config):
            best.history.append({"phase": "refit", **entry})
            bar.update()
            bar.set_postfix(loss=f"{entry['loss']:.3f}")
            if entry["epoch"] >= best.epoch:
                break
    return network
