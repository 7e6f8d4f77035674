"""The search for the best epoch: training with early stopping on validation metrics."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.train.config import FitConfig
from huse.train.data.batches import TrainingRows
from huse.train.data.task import Task
from huse.train.evaluation.measure import best_fusion_weight, metrics_of, validation_score
from huse.train.loop.best import Best, Saved, best_of, keep
from huse.train.loop.checkpoint import Checkpoint
from huse.train.loop.tensorboard import Board
from huse.train.loop.training import Training, steps_per_epoch
from huse.train.network.forward import Forward, features_of, make_forward
from huse.train.network.towers import build_towers
from huse.train.summary import Spent

STEPS_BETWEEN_VALIDATIONS = 4
"""Validation waits for at least this many steps, so that tiny epochs do not spend their time on it."""

PERFECT = 1.0
"""A validation score that no later epoch can exceed, so that none is waited for."""

VALIDATION_ROWS = 2000
"""Epochs are compared on at most this many validation rows; the best is then measured on all of them."""


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
        best, start = best_of(saved, network, spent), saved[1]["done"] + 1
        training.restore(saved[0])
    best.training = training
    every = max(1, STEPS_BETWEEN_VALIDATIONS // steps_per_epoch(config, len(task.train)))
    patience = max(config.patience, every)  # one more look at least
    with tqdm(total=training.epochs, initial=start - 1, desc="fit", unit="epoch", disable=None) as bar:
        for epoch in range(start, training.epochs + 1):
            best.history.append({"phase": "search", **training.epoch(epoch)})
            if len(task.val) and (epoch % every == 0 or epoch == training.epochs):
                _validate(best, epoch, forward, task.val.take(sample), task.val_labels[sample], config.objective)
            if board:
                board.epoch(best.history[-1])
            bar.update()
            bar.set_postfix(loss=f"{best.history[-1]['loss']:.3f}", val=f"{best.score:.3f}" if best.epoch else "-")
            if config.patience and best.epoch and (epoch - best.epoch >= patience or best.score >= PERFECT):
                break
            keep(checkpoint, "search", epoch, training, best)
    if best.epoch:
        network.set_weights(best.weights)
        _measure(best, task, forward, sample, board)
    else:
        best.epoch = training.epochs
    return best


def _measure(best: Best, task: Task, forward: Forward, sample: NDArray[np.intp], board: Board | None) -> None:
    """Measures the best epoch on all validation rows, and shows the space of a sample of them."""
    with best.spent.on("validate"):
        outputs = forward(features_of(task.val, best.network))
        best.fusion_weight = best_fusion_weight(outputs, task.val)
        best.metrics = metrics_of(outputs, task.val, task.val_labels, best.fusion_weight)
    if board:
        shown = outputs.map(lambda output: None if output is None else output.part(sample))
        board.space(task.val.take(sample), shown, task.val_labels[sample])


def _sample(n: int, seed: int) -> NDArray[np.intp]:
    """Numbers of at most `VALIDATION_ROWS` of n rows, in order."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:VALIDATION_ROWS])


def _validate(
    best: Best, epoch: int, forward: Forward, rows: TrainingRows, labels: NDArray[np.object_], objective: str
) -> None:
    """Measures an epoch on validation rows and remembers it if it is the best so far."""
    with best.spent.on("validate"):
        outputs, by_instance = forward(features_of(rows, best.network)), not (labels != "").any()
        metrics = metrics_of(outputs, rows, labels, 0.5, by_instance)  # no score of labeled rows needs instances
    score = validation_score(metrics, objective)
    best.history[-1]["val_score"] = None if math.isnan(score) else score
    best.history[-1] |= {f"val_{way}_r_at_1": values["r_at_1"] for way, values in metrics["retrieval"].items()}
    if score > best.score:
        best.score, best.weights, best.epoch = score, best.network.get_weights(), epoch
