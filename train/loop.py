"""The training loop: features on the device, one compiled step, one entry of losses an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from huse.train.batches import TrainingRows, class_balance, epoch_batches
from huse.train.config import FitConfig
from huse.train.forward import MODALITIES
from huse.train.objectives import OBJECTIVES, Batch


def epochs_of(config: FitConfig, rows: int) -> int:
    """How many epochs a configuration asks for on this many rows."""
    return math.ceil(config.steps / steps_per_epoch(config, rows)) if config.steps else config.epochs


def steps_per_epoch(config: FitConfig, rows: int) -> int:
    """Batches an epoch."""
    return math.ceil(rows / min(config.batch_size, rows))


class Training:
    """A network on its way: trains epoch by epoch, and can be put on disk and taken up again after any of them.

    Args:
        network: from `build_towers`; trained in place.
        data: rows to train on.
        graph: (K, K) semantic graph.
        class_vectors: (K, D) unit vectors of the class names, for the objectives that use them.
        config: hyperparameters.
    """

    def __init__(
        self,
        network: keras.Model,
        data: TrainingRows,
        graph: NDArray[np.float32],
        class_vectors: NDArray[np.float32],
        config: FitConfig,
    ) -> None:
        self.network = network
        self.data = data
        self.config = config
        self.epochs = epochs_of(config, len(data))
        total_steps = config.steps or self.epochs * steps_per_epoch(config, len(data))
        self._optimizer = make_optimizer(config, total_steps)
        self._step = compiled_step(network, data, graph, class_vectors, config, self._optimizer)

    def epoch(self, number: int) -> dict[str, float]:
        """Runs epoch `number`, from 1 on; returns its mean ``loss`` and the mean of each weighted part.

        The order of rows depends on seed and number alone.
        """
        rng = np.random.default_rng([self.config.seed, number])
        weights = class_balance(self.data.labels) if self.config.balance == "sampling" else None
        batches = epoch_batches(len(self.data), self.config.batch_size, rng, weights)
        losses = [self._step(tf.constant(rows)) for rows in batches]
        return {"epoch": number, **{name: float(np.mean([batch[name] for batch in losses])) for name in losses[0]}}

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next epoch depends on: weights, dropout seeds and optimizer."""
        return {f"state/{i}": np.asarray(v) for i, v in enumerate(self._variables())}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Takes up what `state` gave."""
        for i, variable in enumerate(self._variables()):
            variable.assign(state[f"state/{i}"])

    def _variables(self) -> list[Any]:
        return [*self.network.variables, *self._optimizer.variables]


def compiled_step(
    network: keras.Model,
    data: TrainingRows,
    graph: NDArray[np.float32],
    class_vectors: NDArray[np.float32],
    config: FitConfig,
    optimizer: keras.optimizers.Optimizer,
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """One step as a function of a batch's row numbers; returns its losses.

    The features are copied onto the device once; arguments as `Training`.
    """
    features = {m: tf.constant(getattr(data, m)) for m in MODALITIES if m in network.input}
    masks = {m: tf.constant(getattr(data, f"has_{m}"), tf.float32) for m in features}
    labels, distances, names = tf.constant(data.labels), tf.constant(graph), tf.constant(class_vectors)
    objective = OBJECTIVES[config.objective]
    importance = np.ones(len(graph), np.float32)
    if config.balance == "weights":
        np.put(importance, data.labels, class_balance(data.labels) * len(data))
    class_weights = tf.constant(importance)
    variables = network.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = {m: tf.gather(values, rows) for m, values in features.items()}
        present = {m: tf.gather(mask, rows) for m, mask in masks.items()}
        with tf.GradientTape() as tape:
            outputs = network(batch, training=True)
            losses = objective(
                Batch(outputs, tf.gather(labels, rows), present, distances, names, class_weights), config
            )
            loss = tf.add_n(list(losses.values()))
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients([(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None])
        return {"loss": loss, **losses}

    compiled: Callable[[tf.Tensor], dict[str, tf.Tensor]] = step
    return compiled


def make_optimizer(config: FitConfig, total_steps: int) -> Any:
    """The optimizer of a configuration, its decay spread over all steps."""
    if config.optimizer == "rmsprop":
        return keras.optimizers.RMSprop(config.learning_rate, momentum=config.momentum)
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, total_steps)
    return keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay)
