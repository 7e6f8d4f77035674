"""The processors a fit runs on: one, or every GPU of the machine with the losses over the global batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import tensorflow as tf

from huse.features.errors import FitError
from huse.train.config import FitConfig


def strategy() -> tf.distribute.Strategy:
    """Mirrors the towers over all GPUs when there are several; otherwise TensorFlow's own choice of one device."""
    gpus = tf.config.list_logical_devices("GPU")
    return mirrored(tuple(gpu.name for gpu in gpus)) if len(gpus) > 1 else tf.distribute.get_strategy()


@contextmanager
def training_scope(config: FitConfig) -> Iterator[None]:
    """Where towers are built and trained: on all GPUs.

    Raises:
        FitError: a device runs out of memory.
    """
    try:
        with strategy().scope():
            yield
    except tf.errors.ResourceExhaustedError as error:
        raise FitError(
            f"the device ran out of memory with batch_size={config.batch_size} (--batch-size); "
            "fit again with a smaller one, or with memory='streamed' (--memory)"
        ) from error


@cache
def mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """The one strategy over some devices; those of a second would take part in the exchanges of the first."""
    return tf.distribute.MirroredStrategy(devices)


def own_share(rows: tf.Tensor) -> tf.Tensor:
    """The part of a global batch (B,) that this replica computes; B is a multiple of the number of replicas."""
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return rows
    size = rows.shape[0] // replicas
    return tf.slice(rows, [tf.cast(context.replica_id_in_sync_group, tf.int32) * size], [size])


def over_replicas(values: tf.Tensor) -> tf.Tensor:
    """Joins the (b, ...) values of every replica into the (B, ...) of the global batch.

    Every replica then computes the same loss over the global batch; the derivative by its own part is passed back, so
    that the sum of gradients over replicas, which optimizers take, is the gradient of that loss.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return values

    @tf.custom_gradient
    def joined(own: tf.Tensor) -> tuple[tf.Tensor, Any]:
        whole = context.all_gather(own, axis=0)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            start = tf.cast(context.replica_id_in_sync_group, tf.int32) * own.shape[0]
            return tf.slice(upstream, [start, *[0] * (len(own.shape) - 1)], own.shape)

        return tf.ensure_shape(whole, [own.shape[0] * replicas, *own.shape[1:]]), gradient

    return joined(values)


def apply_gradients(optimizer: Any, gradients: Sequence[tuple[tf.Tensor, Any]]) -> None:
    """One step of a Keras optimizer by the gradients of its variables, added up over the replicas.

    With one replica there is nothing to add up. Keras would go through a custom gradient all the same, and TensorFlow
    keeps those, and the graph of every fit with them, for good.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        optimizer.apply_gradients(gradients)
    else:
        context.merge_call(lambda _: optimizer.apply_gradients(gradients))
