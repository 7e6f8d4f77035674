"""The network: an image tower and a text tower that end in one space, and the head both share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from huse.features.errors import FitError
from huse.features.modality import Pair
from huse.train.config import FitConfig
from huse.train.data.batches import TrainingData
from huse.train.network.bfloat_dense import BfloatDense
from huse.train.network.forward import EMBEDDING, LOGITS
from huse.train.network.heads import CertaintyHead, SharedHead, own_dimensions, shared_dimensions
from huse.train.network.precision import arithmetic
from huse.train.objectives.registry import OBJECTIVES


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

    Raises:
        FitError: class probabilities in the embedding are asked for beside dense logits.
    """
    first = config.seed * 1000 % 2**31  # Keras takes 32 bits
    seeds = iter(range(first, first + 1000))
    heads = _heads(classes, config, seeds)
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for name, depth in Pair(image=config.image_layers, text=config.text_layers).items():
        if not data.dimension(name):
            continue
        head = heads.of(name)
        tower = _tower(name, data.dimension(name), depth, config.dimension - 2 * head.own, config, seeds)
        inputs[name] = keras.Input((data.dimension(name),), name=name)
        outputs[EMBEDDING.of(name)], outputs[LOGITS.of(name)] = head(tower(inputs[name]), modality=name)
    network = keras.Model(inputs, outputs, name="huse")
    set_moments(network, data, rows, config)
    return network


def set_moments(network: keras.Model, data: TrainingData, rows: NDArray[np.integer], config: FitConfig) -> None:
    """Sets what `Standardize` subtracts and divides by to the mean and deviation of these rows.

    Args:
        network: from `build_towers` of the same configuration.
        data: where the rows are.
        rows: their numbers.
        config: hyperparameters.
    """
    if not config.standardize:
        return
    for name in network.input:
        moments = data.moments(name, rows, _rooted(name, config))
        layer = network.get_layer(f"{name}_tower").get_layer(f"{name}_standardize")
        layer.set_weights([moments.mean.astype(np.float32), moments.deviation().astype(np.float32)])


def _rooted(name: str, config: FitConfig) -> bool:
    return config.square_root and name == "image"


def _heads(classes: int, config: FitConfig, seeds: Iterator[int]) -> Pair[SharedHead | CertaintyHead]:
    """What makes embeddings and logits of the output of each tower: one head for both, or one a modality.

    Raises:
        FitError: class probabilities in the embedding are asked for beside dense logits, or prefixes longer than what
            images and texts share.
    """
    certain = bool(classes and config.blend and OBJECTIVES[config.objective].blends)
    if certain and config.logits == "dense":
        raise FitError(f"blend is {config.blend} (--blend), which takes cosine logits; set it to 0 beside dense logits")
    shared = shared_dimensions(config.dimension)
    if certain and any(n > shared for n in config.nested):
        raise FitError(
            f"nested has {max(config.nested)} (--nested): {shared} of {config.dimension} dimensions are shared by "
            f"images and texts; train prefixes of at most {shared}"
        )

    def head(name: str) -> SharedHead | CertaintyHead:
        if certain:
            return CertaintyHead(classes, own_dimensions(config.dimension), config.blend, seed=next(seeds), name=name)
        return SharedHead(classes, config.logits, seed=next(seeds), name=name)

    first = head("head")
    return Pair(image=first, text=head("text_head") if OBJECTIVES[config.objective].separate_heads else first)


def _tower(
    name: str,
    dimension: int,
    depth: int,
    width: int,
    config: FitConfig,
    seeds: Iterator[int],
) -> keras.Model:
    x = inputs = keras.Input((dimension,), name=f"{name}_features")
    if _rooted(name, config):
        x = SignedSquareRoot()(x)
    if config.standardize:
        x = Standardize(name=f"{name}_standardize")(x)
    if config.input_dropout:
        x = keras.layers.Dropout(config.input_dropout, seed=next(seeds))(x)
    dense = BfloatDense if arithmetic(config.precision) == "bfloat16" else keras.layers.Dense
    features = x
    for _ in range(depth):
        x = dense(config.hidden_units, activation="relu", kernel_initializer=_glorot(seeds))(x)
        x = keras.layers.Dropout(config.dropout, seed=next(seeds))(x)
    x = dense(width, kernel_initializer=_glorot(seeds))(x)
    if config.shortcut and depth:
        linear = dense(width, use_bias=False, kernel_initializer=_glorot(seeds))
        x = keras.layers.Add()([x, linear(features)])
    return keras.Model(inputs, x, name=f"{name}_tower")


def _glorot(seeds: Iterator[int]) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=next(seeds))
