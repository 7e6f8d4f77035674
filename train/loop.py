"""The training loop: features on the device, one compiled step, one entry of losses an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from huse.train.batches import TrainingRows, epoch_batches
from huse.train.config import FitConfig
from huse.train.forward import MODALITIES
from huse.train.losses import classification_loss, contrastive_loss, gap_loss, graph_loss

LOSSES = ("loss", "class", "graph", "gap", "contrastive")


def epochs_of(config: FitConfig, rows: int) -> int:
    """How many epochs a configuration asks for on this many rows."""
    return math.ceil(config.steps / steps_per_epoch(config, rows)) if config.steps else config.epochs


def steps_per_epoch(config: FitConfig, rows: int) -> int:
    """Batches an epoch."""
    return math.ceil(rows / min(config.batch_size, rows))


def run_epochs(
    network: keras.Model, data: TrainingRows, graph: NDArray[np.float32], config: FitConfig
) -> Iterator[dict[str, float]]:
    """Trains a network in place; yields after every epoch.

    Args:
        network: from `build_towers`.
        data: rows to train on.
        graph: (K, K) semantic graph.
        config: hyperparameters.

    Yields:
        ``epoch`` from 1 on, and the epoch's mean of the total loss and of each loss before its weight.
    """
    epochs = epochs_of(config, len(data))
    total_steps = config.steps or epochs * steps_per_epoch(config, len(data))
    step = _compiled_step(network, data, graph, config, _optimizer(config, total_steps))
    rng = np.random.default_rng(config.seed)
    for epoch in range(1, epochs + 1):
        losses = [step(tf.constant(rows)) for rows in epoch_batches(len(data), config.batch_size, rng)]
        means = np.mean([[float(batch[name]) for name in LOSSES] for batch in losses], axis=0)
        yield {"epoch": epoch, **dict(zip(LOSSES, means.tolist(), strict=True))}


def total_loss(
    outputs: dict[str, tf.Tensor],
    labels: tf.Tensor,
    present: dict[str, tf.Tensor],
    graph: tf.Tensor,
    config: FitConfig,
) -> dict[str, tf.Tensor]:
    """Every loss of a batch by name, and their weighted sum as ``loss`` (eq. 5).

    Args:
        outputs: of the network, for B instances.
        labels: (B,) class numbers.
        present: (B,) float mask of each modality that the network has.
        graph: (K, K) semantic graph.
        config: the weights and margins.
    """
    modalities = list(present)
    embeddings = tf.concat([outputs[f"{m}_embedding"] for m in modalities], 0)
    logits = tf.concat([outputs[f"{m}_logits"] for m in modalities], 0)
    pooled, there = tf.tile(labels, [len(modalities)]), tf.concat(list(present.values()), 0)
    zero = tf.constant(0.0)
    losses = {"class": classification_loss(logits, pooled, there), "graph": zero, "gap": zero, "contrastive": zero}
    if config.beta:
        losses["graph"] = graph_loss(embeddings, pooled, there, graph, config.zeta, config.margin)
    if config.gamma and len(modalities) == 2:
        both = present["image"] * present["text"]
        losses["gap"] = gap_loss(outputs["image_embedding"], outputs["text_embedding"], both)
    if config.delta:
        losses["contrastive"] = contrastive_loss(embeddings, pooled, there, config.temperature)
    weights = {"class": config.alpha, "graph": config.beta, "gap": config.gamma, "contrastive": config.delta}
    return {"loss": tf.add_n([weights[name] * value for name, value in losses.items()]), **losses}


def _compiled_step(
    network: keras.Model,
    data: TrainingRows,
    graph: NDArray[np.float32],
    config: FitConfig,
    optimizer: keras.optimizers.Optimizer,
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    features = {m: tf.constant(getattr(data, m)) for m in MODALITIES if m in network.input}
    masks = {m: tf.constant(getattr(data, f"has_{m}"), tf.float32) for m in features}
    labels, distances = tf.constant(data.labels), tf.constant(graph)
    variables = network.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = {m: tf.gather(values, rows) for m, values in features.items()}
        present = {m: tf.gather(mask, rows) for m, mask in masks.items()}
        with tf.GradientTape() as tape:
            outputs = network(batch, training=True)
            losses = total_loss(outputs, tf.gather(labels, rows), present, distances, config)
        optimizer.apply_gradients(zip(tape.gradient(losses["loss"], variables), variables, strict=True))
        return losses

    compiled: Callable[[tf.Tensor], dict[str, tf.Tensor]] = step
    return compiled


def _optimizer(config: FitConfig, total_steps: int) -> Any:
    if config.optimizer == "rmsprop":
        return keras.optimizers.RMSprop(config.learning_rate, momentum=config.momentum)
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, total_steps)
    return keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay)
