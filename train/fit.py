"""`huse fit`: from a store to a saved model, with early stopping on validation retrieval."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from huse.features.companions import require_encoder_state
from huse.features.errors import FitError
from huse.features.files.folders import require_apart
from huse.features.files.lock import locked
from huse.features.info import FEATURES
from huse.features.store import Store
from huse.train.artifact.model_files import checkpoint_path
from huse.train.artifact.model_folder import TrainedModel, require_free
from huse.train.config import FitConfig
from huse.train.data.batches import TrainingRows
from huse.train.data.task import Task, prepare
from huse.train.evaluation.evaluate import best_fusion_weight, figures, validation_score
from huse.train.loop.checkpoint import Arrays, Checkpoint, identity
from huse.train.loop.strategy import strategy
from huse.train.loop.tensorboard import Board
from huse.train.loop.training import Training, steps_per_epoch
from huse.train.network.forward import Forward, features_of, make_forward
from huse.train.network.towers import build_towers
from huse.train.summary import FitSummary, Spent

STEPS_BETWEEN_VALIDATIONS = 4
"""Validation waits for at least this many steps, so that tiny epochs do not spend their time on it."""

LEAST_REFIT_EPOCHS = 10
"""A refit after an earlier best takes this many epochs, its learning rate decaying over them."""

VALIDATION_ROWS = 2000
"""Epochs are compared on at most this many validation rows; the best is then measured on all of them."""

Saved = tuple[Arrays, dict[str, Any]]
"""What a checkpoint holds: arrays and JSON values."""


@dataclass
class Best:
    """The best epoch of a search, the figures and weights it had, and what time the fit has spent."""

    network: keras.Model
    epoch: int
    metrics: dict[str, Any]
    fusion_weight: float
    history: list[dict[str, Any]]
    score: float = -1.0
    weights: list[Any] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)


def fit_model(
    store: str | Path,
    model: str | Path,
    config: FitConfig = FitConfig(),
    semantic_graph: str = "auto",
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: Path | None = None,
) -> FitSummary:
    """Trains the towers on the cached vectors of a store and saves them: `huse fit`.

    Args:
        store: features with labels.
        model: the model folder to write.
        config: hyperparameters.
        semantic_graph: ``auto``, ``names``, ``taxonomy`` or a .npy file, see `load_graph`.
        overwrite: replace a model that is there.
        resume: go on from the checkpoint that an interrupted fit of the same rows and options left beside `model`; it
            ends with the same weights as an uninterrupted one.
        tensorboard: folder for TensorBoard's logs, see `Board`.

    Raises:
        ExtraError: TensorBoard is asked for and not installed.
        FitError: the store or the options do not allow training.
        StoreError: the store cannot be opened.
        ShardError: a shard is damaged.
    """
    folder = Path(model)
    require_free(folder, overwrite)
    require_apart(folder, FitError, store, *([semantic_graph] if semantic_graph.endswith(".npy") else []))
    if tensorboard is not None:
        require_apart(tensorboard, FitError, store, folder)
    with locked(folder):
        require_free(folder, overwrite)  # while this one waited, another fit may have made it
        return _fit(Path(store), folder, config, semantic_graph, overwrite, resume, tensorboard)


def _fit(
    store: Path,
    folder: Path,
    config: FitConfig,
    semantic_graph: str,
    overwrite: bool,
    resume: bool,
    tensorboard: Path | None,
) -> FitSummary:
    start = time.perf_counter()
    board = Board(tensorboard) if tensorboard else None
    source = Store.open(store, FEATURES)
    task = prepare(source, config, semantic_graph)
    prepared = time.perf_counter() - start
    learned = require_encoder_state(source.path, source.info.text)
    checkpoint = Checkpoint(checkpoint_path(folder), identity(task, config))
    if not resume:
        checkpoint.remove()
    try:
        best = fit_towers(task, config, checkpoint, board)
    except tf.errors.ResourceExhaustedError as error:
        raise FitError(
            f"{store}: the device ran out of memory with batch_size={config.batch_size} (--batch-size); "
            "fit again with a smaller one, or with memory='streamed' (--memory)"
        ) from error
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
        learned,
    ).save(folder, overwrite)
    checkpoint.remove()
    return FitSummary(
        classes=len(task.classes),
        train_rows=task.train_rows,
        val_rows=len(task.val),
        epochs=sum(entry["phase"] == "search" for entry in best.history),
        best_epoch=best.epoch,
        refit=any(entry["phase"] == "refit" for entry in best.history),
        seconds=time.perf_counter() - start,
        seconds_prepare=prepared + best.spent.prepare,
        seconds_read=best.spent.read,
        seconds_train=best.spent.train,
        seconds_validate=best.spent.validate,
        metrics=best.metrics,
        semantic_graph=task.graph_source,
    )


def fit_towers(task: Task, config: FitConfig, checkpoint: Checkpoint | None = None, board: Board | None = None) -> Best:
    """Looks for the best epoch and, if the configuration says so, trains once more on the held out rows too.

    Args:
        task: what to train on.
        config: hyperparameters.
        checkpoint: where the state is kept, and taken up from if it is there.
        board: shows every epoch, and the space of the validation rows.
    """
    saved = checkpoint.load() if checkpoint else None
    with strategy().scope():
        if saved and saved[1]["phase"] == "refit":
            best = _best_of(saved, build_towers(task.data, task.train, len(task.classes), config), Spent())
        else:
            best = search_best(task, config, checkpoint, board, saved)
            saved = None
        if config.refit and task.everything is not None:
            best.network = _refit(task, task.everything, config, best, checkpoint, board, saved)
    return best


def search_best(
    task: Task,
    config: FitConfig,
    checkpoint: Checkpoint | None = None,
    board: Board | None = None,
    saved: Saved | None = None,
) -> Best:
    """Trains with early stopping and keeps the network as it was after its best epoch; arguments as `fit_towers`."""
    spent = Spent()
    with spent.on("prepare"):
        network = build_towers(task.data, task.train, len(task.classes), config)
        training = Training(network, task.data, task.train, task.graph, task.class_vectors, config, spent)
    forward = make_forward(network)
    sample = _sample(len(task.val), config.seed)
    best, start = Best(network, 0, {}, 0.5, [], spent=spent), 1
    best.weights = network.get_weights()
    if saved:
        best, start = _best_of(saved, network, spent), saved[1]["done"] + 1
        training.restore(saved[0])
    every = max(1, STEPS_BETWEEN_VALIDATIONS // steps_per_epoch(config, len(task.train)))
    with tqdm(total=training.epochs, initial=start - 1, desc="fit", unit="epoch", disable=None) as bar:
        for epoch in range(start, training.epochs + 1):
            best.history.append({"phase": "search", **training.epoch(epoch)})
            if len(task.val) and (epoch % every == 0 or epoch == training.epochs):
                _validate(best, epoch, forward, task.val.take(sample), task.val_labels[sample], config.objective)
            if board:
                board.epoch(best.history[-1])
            bar.update()
            bar.set_postfix(loss=f"{best.history[-1]['loss']:.3f}", val=f"{best.score:.3f}" if best.epoch else "-")
            if config.patience and best.epoch and epoch - best.epoch >= config.patience:
                break
            _keep(checkpoint, "search", epoch, training, best)
    if best.epoch:
        network.set_weights(best.weights)
        with spent.on("validate"):
            outputs = forward(features_of(task.val, network))
            best.fusion_weight = best_fusion_weight(outputs, task.val)
            best.metrics = figures(outputs, task.val, task.val_labels, best.fusion_weight)
        if board:
            shown = outputs.map(lambda output: None if output is None else output.part(sample))
            board.space(task.val.take(sample), shown, task.val_labels[sample])
    else:
        best.epoch = training.epochs
    return best


def _sample(n: int, seed: int) -> NDArray[np.intp]:
    """Numbers of at most `VALIDATION_ROWS` of n rows, in order."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:VALIDATION_ROWS])


def _validate(
    best: Best, epoch: int, forward: Forward, rows: TrainingRows, labels: NDArray[np.object_], objective: str
) -> None:
    """Measures an epoch on validation rows and remembers it if it is the best so far."""
    with best.spent.on("validate"):
        metrics = figures(forward(features_of(rows, best.network)), rows, labels, 0.5)
    best.history[-1]["val_score"] = score = validation_score(metrics, objective)
    best.history[-1] |= {f"val_{way}_r_at_1": values["r_at_1"] for way, values in metrics["retrieval"].items()}
    if score > best.score:
        best.score, best.weights, best.epoch = score, best.network.get_weights(), epoch


def _refit(
    task: Task,
    rows: NDArray[np.integer],
    config: FitConfig,
    best: Best,
    checkpoint: Checkpoint | None,
    board: Board | None,
    saved: Saved | None,
) -> keras.Model:
    """Fresh towers, trained on all rows for the epochs found best, and for at most `config.steps` steps.

    An early best is a lucky moment at the full rate: then it takes `LEAST_REFIT_EPOCHS`, over which the rate decays, so
    that it ends in a calm state.
    """
    calm = best.epoch < LEAST_REFIT_EPOCHS and not config.steps
    config = replace(config, epochs=min(LEAST_REFIT_EPOCHS, config.epochs)) if calm else config
    with best.spent.on("prepare"):
        network = build_towers(task.data, rows, len(task.classes), config)
        training = Training(network, task.data, rows, task.graph, task.class_vectors, config, best.spent)
    start, epochs = 1, training.epochs if calm else min(best.epoch, training.epochs)
    if saved:
        training.restore(saved[0])
        start = saved[1]["done"] + 1
    with tqdm(total=epochs, initial=start - 1, desc="refit", unit="epoch", disable=None) as bar:
        for epoch in range(start, epochs + 1):
            best.history.append({"phase": "refit", **training.epoch(epoch)})
            if board:
                board.epoch(best.history[-1])
            bar.update()
            bar.set_postfix(loss=f"{best.history[-1]['loss']:.3f}")
            _keep(checkpoint, "refit", epoch, training, best)
    return network


def _keep(checkpoint: Checkpoint | None, phase: str, epoch: int, training: Training, best: Best) -> None:
    if checkpoint is None or not checkpoint.due():
        return
    values = {
        "epoch": best.epoch,
        "metrics": best.metrics,
        "fusion_weight": best.fusion_weight,
        "history": best.history,
        "score": best.score,
    }
    weights = {f"best/{i}": w for i, w in enumerate(best.weights)}
    checkpoint.save({**training.state(), **weights}, {"phase": phase, "done": epoch, "best": values})


def _best_of(saved: Saved, network: keras.Model, spent: Spent) -> Best:
    arrays, values = saved
    weights = [arrays[f"best/{i}"] for i in range(len(network.get_weights()))]
    return Best(network, weights=weights, spent=spent, **values["best"])
