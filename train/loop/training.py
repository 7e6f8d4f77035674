"""The training loop: features on the device, one compiled step, one entry of losses an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from huse.features.errors import FitError
from huse.features.modality import MODALITIES, Pair
from huse.train.config import FitConfig
from huse.train.data.batches import NO_LABEL, TrainingData, TrainingRows, class_balance, in_batches
from huse.train.loop.adamw import AdamW
from huse.train.loop.checkpoint import in_order, numbered
from huse.train.loop.strategy import apply_gradients, over_replicas, own_share
from huse.train.network.forward import EMBEDDING, LOGITS
from huse.train.network.towers import set_moments
from huse.train.objectives.batch import Batch, Items, Pairing
from huse.train.objectives.nested import nested_losses
from huse.train.objectives.pairwise import COMPILE_FROM
from huse.train.objectives.registry import objective_of
from huse.train.summary import Spent

FETCHED = 256
"""Steps between fetches of the losses."""

Tensors = dict[str, Any]
"""Tensors by name; those of a modality in a dictionary of their own."""


def epochs_of(config: FitConfig, rows: int) -> int:
    """How many epochs a configuration asks for on this many rows; the last may be cut short by `config.steps`."""
    return math.ceil(config.steps / steps_per_epoch(config, rows)) if config.steps else config.epochs


def steps_per_epoch(config: FitConfig, rows: int) -> int:
    """Batches an epoch."""
    return math.ceil(rows / global_batch(config, rows))


def global_batch(config: FitConfig, rows: int) -> int:
    """Rows a step over all replicas: as configured, or all rows, and as many on each replica."""
    replicas: int = tf.distribute.get_strategy().num_replicas_in_sync
    return max(min(config.batch_size, rows) // replicas, 1) * replicas


class Training:
    """A network on its way: trains epoch by epoch, and can be put on disk and taken up again after any of them.

    Args:
        network: from `build_towers`, in the scope of the distribution strategy; trained in place.
        data: where the rows are.
        rows: numbers of the rows to train on.
        graph: (K, K) semantic graph.
        class_vectors: (K, D) unit vectors of the class names, for the objectives that use them.
        config: hyperparameters.
        spent: where the time of the epochs is counted.
    """

    def __init__(
        self,
        network: keras.Model,
        data: TrainingData,
        rows: NDArray[np.integer],
        graph: NDArray[np.float32],
        class_vectors: NDArray[np.float32],
        config: FitConfig,
        spent: Spent | None = None,
    ) -> None:
        self.network = network
        self.spent = spent or Spent()
        self.data = data
        self._objective = objective_of(config.objective)
        self._strategy = tf.distribute.get_strategy()
        self._classes = {"graph": tf.constant(graph), "class_vectors": tf.constant(class_vectors)}
        self._class_weights = tf.Variable(np.ones(len(graph), np.float32), trainable=False)
        self._decay_steps = tf.Variable(1.0, trainable=False)
        self._optimizer = make_optimizer(config, self._decay_steps)
        self._optimizer.build(network.trainable_variables)
        self._untrained = [np.array(variable) for variable in network.variables]
        self._aim_at(rows, config)

    def _aim_at(self, rows: NDArray[np.integer], config: FitConfig) -> None:
        """Sets all that depends on the rows and on how long they are trained on."""
        self.rows = rows
        self.config = config
        self.epochs = epochs_of(config, len(rows))
        self.batch_size = global_batch(config, len(rows))
        # few rows are one batch, of which the refit has more: a step compiled for any length serves both
        several = self._strategy.num_replicas_in_sync > 1
        self._length = self.batch_size if several or self.batch_size >= COMPILE_FROM else None
        labels = self.data.labels[rows]
        self._partly = bool((labels == NO_LABEL).any())
        self._placed: tuple[TrainingRows, Tensors] | None = None
        self._decay_steps.assign(config.steps or self.epochs * steps_per_epoch(config, len(rows)))
        self._class_weights.assign(_class_weights(labels, self._class_weights.shape[0], config))

    def start_over(self, rows: NDArray[np.integer], config: FitConfig) -> None:
        """Begins as a new training of fresh towers would, with the step that is compiled already.

        Args:
            rows: numbers of the rows to train on.
            config: the same but for the number of epochs.
        """
        self._aim_at(rows, config)
        for variable, untrained in zip(self.network.variables, self._untrained, strict=True):
            variable.assign(untrained)
        set_moments(self.network, self.data, rows, config)
        for variable in self._optimizer.variables:
            variable.assign(np.zeros(variable.shape))

    def epoch(self, number: int) -> dict[str, float]:
        """Runs epoch `number`, from 1 on; returns its mean ``loss`` and the mean of each weighted part.

        The order of rows depends on seed and number alone. An epoch ends where `config.steps` is reached.
        """
        rng = np.random.default_rng([self.config.seed, number])
        draws = class_balance(self.data.labels[self.rows]) if self.config.balance == "sampling" else None
        with self.spent.on("train"):
            losses = self._losses(islice(self._batches(rng, draws), self._steps_of(number)))
        means = {name: float(np.mean(values)) for name, values in losses.items()}
        if not math.isfinite(means["loss"]):
            raise FitError(
                f"epoch {number}: the loss is {means['loss']}, no longer a finite number; "
                "fit again with a lower learning_rate (--learning-rate)"
            )
        return {"epoch": number, **means}

    def _losses(self, batches: Iterator[tuple[TrainingRows, NDArray[np.int32]]]) -> dict[str, NDArray[np.float32]]:
        """Takes a step on every batch and returns their losses.

        Some are fetched at a time: as tensors they are large, and waiting for each would hold up the next step.
        """
        fetched: list[dict[str, NDArray[np.float32]]] = []
        while some := [self.step(self.on_device(window), batch) for window, batch in islice(batches, FETCHED)]:
            fetched.append({name: np.array([float(loss[name]) for loss in some], np.float32) for name in some[0]})
        return {name: np.concatenate([part[name] for part in fetched]) for name in fetched[0]}

    def _batches(
        self, rng: np.random.Generator, draws: NDArray[np.float64] | None
    ) -> Iterator[tuple[TrainingRows, NDArray[np.int32]]]:
        for window, order in self.spent.reading(self.data.windows(self.rows, self.batch_size, rng, draws)):
            for batch in in_batches(order, self.batch_size):
                yield window, batch

    def _steps_of(self, number: int) -> int | None:
        """How many steps epoch `number` may take; None when it is to be whole."""
        if not self.config.steps:
            return None
        return self.config.steps - (number - 1) * steps_per_epoch(self.config, len(self.rows))

    def on_device(self, window: TrainingRows) -> Tensors:
        """Copies rows onto every device, and compiles a step for them; the same rows are copied once."""
        if self._placed is None or self._placed[0] is not window:
            self._placed = None  # frees the last window before the next is copied
            self._placed = (
                window,
                {
                    "labels": self._copied(window.labels),
                    "content": dict(window.content.map(self._copied).items()) if self._partly else {},
                    **{
                        modality: {
                            "vectors": self._copied(its.vectors),
                            "present": self._copied(its.present.astype(np.float32)),
                        }
                        for modality, its in window.modalities.items()
                        if modality in self.network.input
                    },
                },
            )
            self._step.get_concrete_function(self._placed[1], tf.TensorSpec([self._length], tf.int32), self._length)
        return self._placed[1]

    def _copied(self, values: NDArray[Any]) -> tf.Tensor:
        def copy(context: tf.distribute.ValueContext) -> tf.Tensor:
            with tf.device(devices[context.replica_id_in_sync_group]):
                return tf.constant(values)

        several = self._strategy.num_replicas_in_sync > 1
        devices = self._strategy.extended.worker_devices if several else [None]
        return self._strategy.experimental_distribute_values_from_function(copy)

    def step(self, window: Tensors, rows: NDArray[np.int32]) -> Tensors:
        """One step on some row numbers (B,) of a window that is `on_device`; returns the losses of the batch."""
        losses: Tensors = self._step(window, tf.constant(rows), self._length)
        return losses

    @tf.function(reduce_retracing=True, autograph=False)
    def _step(self, window: Tensors, rows: tf.Tensor, length: int | None) -> Tensors:
        rows = tf.ensure_shape(rows, [length])
        losses = self._strategy.run(self._replica_step, (window, rows))
        return {name: self._strategy.experimental_local_results(value)[0] for name, value in losses.items()}

    def _replica_step(self, window: Tensors, rows: tf.Tensor) -> Tensors:
        names = [m for m in MODALITIES if m in window]
        own = own_share(rows)
        with tf.GradientTape() as tape:
            inputs = {m: tf.cast(tf.gather(window[m]["vectors"], own), tf.float32) for m in names}
            outputs = {name: over_replicas(value) for name, value in self.network(inputs, training=True).items()}
            # the number of the step is part of a checkpoint, so a resumed fit draws what it would have drawn
            seed = tf.stack([tf.constant(self.config.seed, tf.int64), tf.cast(self._optimizer.iterations, tf.int64)])
            items = {
                m: Items(outputs[EMBEDDING.of(m)], outputs[LOGITS.of(m)], tf.gather(window[m]["present"], rows))
                for m in names
            }
            labels, pairing = tf.gather(window["labels"], rows), None
            if self._partly:
                content = Pair.by_name(lambda m: tf.gather(window["content"][m], rows))
                pairing = Pairing(tf.cast(labels != NO_LABEL, tf.float32), content)
            classes = {**self._classes, "class_weights": tf.convert_to_tensor(self._class_weights)}
            batch = Batch(Pair.by_name(items.get), tf.maximum(labels, 0), **classes, seed=seed, pairing=pairing)
            losses = nested_losses(self._objective, batch, self.config, self.config.nested)
            loss = tf.add_n(list(losses.values()))
        variables = self.network.trainable_variables
        gradients = tape.gradient(loss, variables)
        given = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        apply_gradients(self._optimizer, given)
        return {"loss": loss, **losses}

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next epoch depends on: weights, dropout seeds and optimizer."""
        return numbered("state", self._variables())

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Takes up what `state` gave, found among other arrays too.

        Raises:
            FitError: it was the state of towers of other shapes.
        """
        variables = self._variables()
        shapes = [tuple(variable.shape) for variable in variables]
        for variable, value in zip(variables, in_order(state, "state", shapes), strict=True):
            variable.assign(value)

    def _variables(self) -> list[Any]:
        return [*self.network.variables, *self._optimizer.variables]


def _class_weights(labels: NDArray[np.integer], classes: int, config: FitConfig) -> NDArray[np.float32]:
    """(K,) factor of each class in the classification loss, 1 on average over the labeled rows."""
    weights = np.ones(classes, np.float32)
    if config.balance == "weights" and classes:
        labeled = labels[labels != NO_LABEL]
        np.put(weights, labeled, class_balance(labeled) * len(labeled))
    return weights


def make_optimizer(config: FitConfig, decay_steps: Any) -> Any:
    """The optimizer of a configuration, whose variables all start from 0; its rate decays over a number of steps."""
    if config.optimizer == "rmsprop":
        return keras.optimizers.RMSprop(lambda: config.learning_rate, momentum=config.momentum)
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, decay_steps)
    return AdamW(schedule, config.weight_decay)
