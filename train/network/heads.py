"""The heads that both towers share: tower outputs become embeddings and class logits."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

START_SCALE = 16.0
"""Logit scale (inverse temperature) that cosine logits start from."""

OWN_SHARE = 8
"""One in so many dimensions is an image's own, and as many are a text's."""


def own_dimensions(dimension: int) -> int:
    """How many of the dimensions of embeddings are an image's own; as many are a text's."""
    return dimension // OWN_SHARE


def shared_dimensions(dimension: int) -> int:
    """How many of the dimensions of embeddings images and texts share: those that towers end in."""
    return dimension - 2 * own_dimensions(dimension)


@keras.saving.register_keras_serializable(package="huse")
class SharedHead(keras.layers.Layer):
    """The paper's head: tower outputs (n, D) become unit embeddings (n, D) and class logits (n, K).

    With u the unit tower output and W the class weights (K, D):

    - ``dense`` logits are u W^T + b (eq. 6); ``cosine`` logits are s u w^T + b, w the unit class weights, s learned;
    - the embedding is u when `blend` is 0, else, as in models of earlier versions, the unit vector along
      (1 - blend) u + blend c, where c is the unit vector along sum_k (p_k - 1/K) (w_k - mean w) and p the softmax of
      the logits.
    """

    own = 0
    """Dimensions that each modality has for itself."""

    def __init__(self, classes: int, logits: str, blend: float = 0.0, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes
        self.logits = logits
        self.blend = blend
        self.seed = seed

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Makes the class weights."""
        dimension = input_shape[-1]
        initializer = keras.initializers.RandomNormal(stddev=dimension**-0.5, seed=self.seed)
        self.kernel = self.add_weight(name="kernel", shape=(self.classes, dimension), initializer=initializer)
        self.bias = self.add_weight(name="bias", shape=(self.classes,), initializer="zeros")
        if self.logits == "cosine":
            start = keras.initializers.Constant(float(np.log(START_SCALE)))
            self.log_scale = self.add_weight(name="log_scale", shape=(), initializer=start)

    def call(self, inputs: Any, modality: str = "") -> tuple[Any, Any]:  # noqa: ARG002
        """(n, D) tower outputs of either modality to ((n, D) unit embeddings, (n, K) logits)."""
        unit = unit_vectors(inputs)
        prototypes = unit_vectors(self.kernel)
        if self.logits == "cosine":
            logits = ops.exp(self.log_scale) * ops.matmul(unit, ops.transpose(prototypes)) + self.bias
        else:
            logits = ops.matmul(unit, ops.transpose(self.kernel)) + self.bias
        if not self.blend or not self.classes:
            return unit, logits
        centered = prototypes - ops.mean(prototypes, axis=0, keepdims=True)
        toward = unit_vectors(ops.matmul(ops.softmax(logits) - 1.0 / self.classes, centered))
        return unit_vectors((1.0 - self.blend) * unit + self.blend * toward), logits

    def compute_output_shape(self, input_shape: tuple[int, ...], **_: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of embeddings and logits."""
        return (*input_shape[:-1], input_shape[-1]), (*input_shape[:-1], self.classes)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        own = {"classes": self.classes, "logits": self.logits, "blend": self.blend, "seed": self.seed}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="huse")
class CertaintyHead(keras.layers.Layer):
    """Embeddings whose direction says what an item is, and their length in shared dimensions how sure that is.

    With u the unit tower output (S dimensions), w_k fixed orthogonal class directions, s a learned scale, p the softmax
    of the logits s u w^T + b, and m the unit vector along (1 - blend) u + blend sum_k p_k w_k:

    - the shared part of an embedding is m times sqrt(|p|): of length 1 where one class is sure, shorter where several
      are possible;
    - the length it lacks, sqrt(1 - |p|), is put into dimensions that only items of the same modality have, along a
      fixed projection of u. So the vector has length 1, and the cosine of an image and a text is sqrt(|p| |p'|) m m'.

    In training an embedding is u alone, as in the paper: `blend` is what it is made with afterwards.

    Args:
        classes: K, above 0.
        own: dimensions that each modality has for itself; the embeddings have S + 2 own.
        blend: share of the class probabilities, at least 0 and below 1.
        seed: of the class directions, which are orthogonal if K <= S, and of the projection.
    """

    def __init__(self, classes: int, own: int, blend: float, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes
        self.own = own
        self.blend = blend
        self.seed = seed

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Draws the class directions and the projection, which are not trained."""
        self.directions = self._fixed("directions", (self.classes, input_shape[-1]), self.seed)
        if self.own:
            self.projection = self._fixed("projection", (input_shape[-1], self.own), self.seed + 1)
        self.bias = self.add_weight(name="bias", shape=(self.classes,), initializer="zeros")
        start = keras.initializers.Constant(float(np.log(START_SCALE)))
        self.log_scale = self.add_weight(name="log_scale", shape=(), initializer=start)

    def _fixed(self, name: str, shape: tuple[int, int], seed: int) -> Any:
        initializer = keras.initializers.Orthogonal(seed=seed)
        return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)

    def call(self, inputs: Any, modality: str, training: bool | None = None) -> tuple[Any, Any]:
        """(n, S) tower outputs of a modality to ((n, S + 2 own) unit embeddings, in training (n, S), (n, K) logits)."""
        unit = unit_vectors(inputs)
        directions = unit_vectors(self.directions)
        logits = ops.exp(self.log_scale) * ops.matmul(unit, ops.transpose(directions)) + self.bias
        if training:
            return unit, logits
        probabilities = ops.softmax(logits)
        meaning = unit_vectors((1.0 - self.blend) * unit + self.blend * ops.matmul(probabilities, directions))
        if not self.own:
            return meaning, logits
        sure, lacking = _certainty(probabilities)
        shared = ops.sqrt(sure) * meaning
        own = ops.sqrt(lacking) * unit_vectors(ops.matmul(unit, self.projection))
        others = ops.zeros_like(own)
        return ops.concatenate([shared, *((own, others) if modality == "image" else (others, own))], axis=-1), logits

    def compute_output_shape(self, input_shape: tuple[int, ...], **_: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of embeddings and logits."""
        return (*input_shape[:-1], input_shape[-1] + 2 * self.own), (*input_shape[:-1], self.classes)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        own = {"classes": self.classes, "own": self.own, "blend": self.blend, "seed": self.seed}
        return {**super().get_config(), **own}


def _certainty(probabilities: Any) -> tuple[Any, Any]:
    """|p| and 1 - |p| of (n, K) probabilities, each (n, 1).

    With r what is left to the classes but the most probable, 1 - |p|^2 is 2r - r^2 - the squares of what is left, so
    that nothing is a difference of nearly equal numbers. Of equally probable ones each counts in part.
    """
    likeliest = ops.cast(probabilities >= ops.max(probabilities, axis=-1, keepdims=True), probabilities.dtype)
    others = 1.0 - likeliest / ops.sum(likeliest, axis=-1, keepdims=True)
    squares = ops.square(probabilities)
    rest, left = (ops.sum(each * others, axis=-1, keepdims=True) for each in (probabilities, squares))
    sure = ops.sqrt(ops.sum(squares, axis=-1, keepdims=True))
    return sure, (rest * (2.0 - rest) - left) / (1.0 + sure)


def unit_vectors(vectors: Any) -> Any:
    """(n, D) rows brought to length 1; rows of zeros stay."""
    return vectors * ops.rsqrt(ops.maximum(ops.sum(ops.square(vectors), axis=-1, keepdims=True), 1e-12))
