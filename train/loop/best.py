"""The best epoch of a search, and how it is kept in a checkpoint beside the state of the training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras

from huse.train.loop.checkpoint import Arrays, Checkpoint, in_order, numbered
from huse.train.loop.training import Training
from huse.train.summary import Spent

Saved = tuple[Arrays, dict[str, Any]]
"""What a checkpoint holds: arrays and JSON values."""


@dataclass
class Best:
    """The best epoch of a search, the metrics and weights it had, what time the fit has spent, and the training."""

    network: keras.Model
    epoch: int
    metrics: dict[str, Any]
    fusion_weight: float
    history: list[dict[str, Any]]
    score: float = -1.0
    weights: list[Any] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)
    training: Training | None = None


def keep(checkpoint: Checkpoint | None, phase: str, epoch: int, training: Training, best: Best) -> None:
    """Saves the state after an epoch, when a checkpoint is wanted and due."""
    if checkpoint is None or not checkpoint.due():
        return
    values = {
        "epoch": best.epoch,
        "metrics": best.metrics,
        "fusion_weight": best.fusion_weight,
        "history": best.history,
        "score": best.score,
    }
    arrays = {**training.state(), **numbered("best", best.weights)}
    checkpoint.save(arrays, {"phase": phase, "done": epoch, "best": values})


def best_of(saved: Saved, network: keras.Model, spent: Spent) -> Best:
    """The best epoch that a checkpoint has kept."""
    arrays, values = saved
    weights = in_order(arrays, "best", [weight.shape for weight in network.get_weights()])
    return Best(network, weights=weights, spent=spent, **values["best"])
