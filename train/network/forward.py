"""Runs trained or half-trained towers over any number of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from huse.features.rows import Rows
from huse.train.data.batches import TrainingRows

MODALITIES = ("image", "text")
BATCH = 4096

Arrays = dict[str, NDArray[np.float32]]
Forward = Callable[[Mapping[str, NDArray[Any]]], Arrays]


def make_forward(network: keras.Model) -> Forward:
    """A function from input arrays (n, dim) by name to output arrays (n, ...) by name, in batches, without dropout."""

    @tf.function(reduce_retracing=True)
    def step(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = network(batch, training=False)
        return outputs

    def forward(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        n = len(next(iter(inputs.values())))
        if not n:  # Keras cannot add tensors without rows
            return {
                name: a[:0] for name, a in forward({m: np.zeros((1, a.shape[1])) for m, a in inputs.items()}).items()
            }
        parts = []
        for start in range(0, n, BATCH):
            batch = {name: tf.constant(a[start : start + BATCH], tf.float32) for name, a in inputs.items()}
            parts.append({name: value.numpy() for name, value in step(batch).items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return forward


def features_of(rows: Rows | TrainingRows, network: keras.Model) -> dict[str, NDArray[Any]]:
    """The vectors of some rows as the inputs of a network; zeros for a modality that the rows' store lacks."""
    inputs = {}
    for name, tensor in network.input.items():
        vectors, dimension = getattr(rows, name), tensor.shape[-1]
        inputs[name] = vectors if vectors.shape[1] else np.zeros((len(rows), dimension), np.float32)
    return inputs


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Class probabilities (n, K) of logits (n, K) (eq. 7)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)


def class_probabilities(
    outputs: Arrays, has_image: NDArray[np.bool_], has_text: NDArray[np.bool_], weight: float
) -> dict[str, NDArray[np.float32]]:
    """(n, K) class probabilities of each modality in `outputs`, and of both as ``fused``; arguments as `fuse`."""
    alone = {m: softmax(outputs[f"{m}_logits"]) for m in MODALITIES if f"{m}_logits" in outputs}
    return {**alone, "fused": fuse(alone.get("image"), alone.get("text"), has_image, has_text, weight)}


def fuse(
    image: NDArray[np.floating] | None,
    text: NDArray[np.floating] | None,
    has_image: NDArray[np.bool_],
    has_text: NDArray[np.bool_],
    weight: float,
) -> NDArray[np.float32]:
    """Fused class probabilities: weight x image + (1 - weight) x text (paper 4.5).

    A row with one modality takes that one alone; a row with none has zeros everywhere.

    Args:
        image: (n, K) class probabilities of the images, None when the model has no image tower.
        text: (n, K) likewise, of the texts.
        has_image: (n,) mask.
        has_text: (n,) mask.
        weight: share of the image, 0 to 1.
    """
    if image is None or text is None:
        alone, mask = (text, has_text) if image is None else (image, has_image)
        if alone is None:
            raise ValueError("fuse needs the probabilities of at least one modality")
        return np.asarray(alone * mask[:, None], dtype=np.float32)
    share = np.where(has_text, weight, 1.0) * has_image
    rest = np.where(has_image, 1.0 - weight, 1.0) * has_text
    return np.asarray(share[:, None] * image + rest[:, None] * text, dtype=np.float32)
