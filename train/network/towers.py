"""The network: an image tower and a text tower that end in one space, and the head both share."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from huse.features.modality import Pair
from huse.train.config import FitConfig
from huse.train.data.batches import Moments, TrainingData
from huse.train.network.bfloat_dense import BfloatDense
from huse.train.network.forward import EMBEDDING, LOGITS
from huse.train.network.precision import arithmetic
from huse.train.objectives.registry import OBJECTIVES

START_SCALE = 16.0
"""Logit scale (inverse temperature) that `cosine` logits start from."""


@keras.saving.register_keras_serializable(package="huse")
class SignedSquareRoot(keras.layers.Layer):
    """sign(x) sqrt(|x|), element by element."""

    def call(self, inputs: Any) -> Any:
        """Same shape as `inputs`."""
        return ops.sign(inputs) * ops.sqrt(ops.abs(inputs))


@keras.saving.register_keras_serializable(package="huse")
class Standardize(keras.layers.Layer):
    """(x - mean) / deviation, column by column; both are weights that are set once and not trained."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Makes mean 0 and deviation 1, to be set."""
        self.mean = self.add_weight(name="mean", shape=input_shape[-1:], initializer="zeros", trainable=False)
        self.deviation = self.add_weight(name="deviation", shape=input_shape[-1:], initializer="ones", trainable=False)

    def call(self, inputs: Any) -> Any:
        """Same shape as `inputs`."""
        return (inputs - self.mean) / self.deviation


@keras.saving.register_keras_serializable(package="huse")
class SharedHead(keras.layers.Layer):
    """Tower outputs (n, D) become unit embeddings (n, D) and class logits (n, K), the same way for both modalities.

    With u the unit tower output and W the class weights (K, D):

    - ``dense`` logits are u W^T + b (eq. 6); ``cosine`` logits are s u w^T + b, w the unit class weights, s learned;
    - the embedding is u when `blend` is 0 (the paper), else the unit vector along (1 - blend) u + blend c, where c is
      the unit vector along sum_k (p_k - 1/K) (w_k - mean w) and p the softmax of the logits: the item moves toward
      the prototypes of the classes it probably belongs to. Where there are no classes it is u.
    """

    def __init__(self, classes: int, logits: str, blend: float, seed: int = 0, **kwargs: Any) -> None:
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

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """(n, D) tower outputs to ((n, D) unit embeddings, (n, K) logits)."""
        unit = _unit(inputs)
        prototypes = _unit(self.kernel)
        if self.logits == "cosine":
            logits = ops.exp(self.log_scale) * ops.matmul(unit, ops.transpose(prototypes)) + self.bias
        else:
            logits = ops.matmul(unit, ops.transpose(self.kernel)) + self.bias
        if not self.blend or not self.classes:
            return unit, logits
        centered = prototypes - ops.mean(prototypes, axis=0, keepdims=True)
        toward = _unit(ops.matmul(ops.softmax(logits) - 1.0 / self.classes, centered))
        return _unit((1.0 - self.blend) * unit + self.blend * toward), logits

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of embeddings and logits."""
        return (*input_shape[:-1], input_shape[-1]), (*input_shape[:-1], self.classes)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        own = {"classes": self.classes, "logits": self.logits, "blend": self.blend, "seed": self.seed}
        return {**super().get_config(), **own}


def build_towers(data: TrainingData, rows: NDArray[np.integer], classes: int, config: FitConfig) -> keras.Model:
    """The untrained network for features like the given ones.

    Args:
        data: where the rows are.
        rows: numbers of the training rows, for the input statistics.
        classes: K.
        config: hyperparameters.

    Returns:
        A model with inputs `image` (Di) and `text` (Dt) and outputs `image_embedding`, `text_embedding` (D, unit
        length), `image_logits`, `text_logits` (K); a modality of dimension 0 has none of them.
    """
    first = config.seed * 1000 % 2**31  # Keras takes 32 bits
    seeds = iter(range(first, first + 1000))
    head = SharedHead(classes, config.logits, config.blend, seed=next(seeds), name="head")
    heads = Pair(image=head, text=head)
    if OBJECTIVES[config.objective].separate_heads:
        own = SharedHead(classes, config.logits, config.blend, seed=next(seeds), name="text_head")
        heads = Pair(image=head, text=own)
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for name, depth in Pair(image=config.image_layers, text=config.text_layers).items():
        if not data.dimension(name):
            continue
        root = config.square_root and name == "image"
        moments = data.moments(name, rows, root) if config.standardize else None
        tower = _tower(name, data.dimension(name), depth, root, moments, config, seeds)
        inputs[name] = keras.Input((data.dimension(name),), name=name)
        outputs[EMBEDDING.of(name)], outputs[LOGITS.of(name)] = heads.of(name)(tower(inputs[name]))
    return keras.Model(inputs, outputs, name="huse")


def _tower(
    name: str, dimension: int, depth: int, root: bool, moments: Moments | None, config: FitConfig, seeds: Any
) -> keras.Model:
    x = inputs = keras.Input((dimension,), name=f"{name}_features")
    if root:
        x = SignedSquareRoot()(x)
    if moments is not None:
        standardize = Standardize()
        x = standardize(x)
        standardize.set_weights([moments.mean.astype(np.float32), moments.deviation().astype(np.float32)])
    if config.input_dropout:
        x = keras.layers.Dropout(config.input_dropout, seed=next(seeds))(x)
    dense = BfloatDense if arithmetic(config.precision) == "bfloat16" else keras.layers.Dense
    features = x
    for _ in range(depth):
        x = dense(config.hidden_units, activation="relu", kernel_initializer=_glorot(seeds))(x)
        x = keras.layers.Dropout(config.dropout, seed=next(seeds))(x)
    x = dense(config.dimension, kernel_initializer=_glorot(seeds))(x)
    if config.shortcut and depth:
        linear = dense(config.dimension, use_bias=False, kernel_initializer=_glorot(seeds))
        x = keras.layers.Add()([x, linear(features)])
    return keras.Model(inputs, x, name=f"{name}_tower")


def _glorot(seeds: Any) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=next(seeds))


def _unit(vectors: Any) -> Any:
    return vectors * ops.rsqrt(ops.maximum(ops.sum(ops.square(vectors), axis=-1, keepdims=True), 1e-12))
