"""Runs trained or half-trained towers over any number of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import softmax

from huse.features.modality import Index, Pair, Side
from huse.features.rows import Rows
from huse.train.data.batches import TrainingRows

BATCH = 4096

EMBEDDING = Pair(image="image_embedding", text="text_embedding")
LOGITS = Pair(image="image_logits", text="text_logits")
"""Names of a network's outputs; its inputs have those of the modalities."""


@dataclass(frozen=True, eq=False)
class Output:
    """What a network makes of n rows of one modality.

    Attributes:
        embedding: (n, D) unit vectors.
        logits: (n, K).
    """

    embedding: NDArray[np.float32]
    logits: NDArray[np.float32]

    def part(self, index: Index) -> Output:
        """Those of some rows."""
        return Output(self.embedding[index], self.logits[index])

    def probabilities(self) -> NDArray[np.float32]:
        """(n, K) softmax of the logits (eq. 7); of a network without classes (n, 0)."""
        return np.asarray(softmax(self.logits, axis=1)) if self.logits.size else self.logits


Mask = NDArray[np.bool_]
Inputs = Pair[NDArray[Any] | None]
Outputs = Pair[Output | None]
"""Of both modalities; None of one that the network does not know."""

Forward = Callable[[Inputs], Outputs]


def make_forward(network: keras.Model) -> Forward:
    """A function from features (n, dim) to embeddings and logits, in batches, without dropout."""

    @tf.function(autograph=False)
    def step(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = network(batch, training=False)
        return outputs

    def forward(inputs: Inputs) -> Outputs:
        given = inputs.given()
        n = len(next(iter(given.values())))
        if not n:  # Keras cannot add tensors without rows
            one = forward(inputs.map(lambda a: None if a is None else np.zeros((1, a.shape[1]))))
            return one.map(lambda output: None if output is None else output.part(slice(0)))
        # one for batches of any length, and without TensorFlow's advice to whoever compiles one for each of five models
        specs = {name: tf.TensorSpec([None, a.shape[1]], tf.float32) for name, a in given.items()}
        compiled = step.get_concrete_function(specs)
        parts = []
        for start in range(0, n, BATCH):
            batch = {name: tf.constant(a[start : start + BATCH], tf.float32) for name, a in given.items()}
            parts.append({name: value.numpy() for name, value in compiled(batch).items()})
        return _outputs({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    return forward


def _outputs(arrays: Mapping[str, NDArray[np.float32]]) -> Outputs:
    return Pair.by_name(
        lambda m: Output(arrays[EMBEDDING.of(m)], arrays[LOGITS.of(m)]) if EMBEDDING.of(m) in arrays else None
    )


def features_of(rows: Rows | TrainingRows, network: keras.Model) -> Inputs:
    """The vectors of some rows as the inputs of a network; zeros for a modality that the rows' store lacks."""

    def of_side(side: Side, wanted: Any) -> NDArray[Any] | None:
        if wanted is None:
            return None
        return side.vectors if side.dimension else np.zeros((len(side), wanted.shape[-1]), np.float32)

    return Pair.by_name(lambda modality: of_side(rows.modalities.of(modality), network.input.get(modality)))


def class_probabilities(outputs: Outputs, present: Pair[Mask], weight: float) -> dict[str, NDArray[np.float32]]:
    """(n, K) class probabilities of each modality in `outputs`, and of both as ``fused``; arguments as `fuse`."""
    alone = outputs.map(lambda output: None if output is None else output.probabilities())
    return {**alone.given(), "fused": fuse(alone, present, weight)}


def fuse(probabilities: Pair[NDArray[np.float32] | None], present: Pair[Mask], weight: float) -> NDArray[np.float32]:
    """Fused class probabilities: weight x image + (1 - weight) x text (paper 4.5).

    A row with one modality takes that one alone; a row with none has zeros everywhere.

    Args:
        probabilities: (n, K) of each modality, None of one that the model has no tower for.
        present: (n,) for each modality, which rows have it.
        weight: share of the image, 0 to 1.
    """
    image, text = probabilities.image, probabilities.text
    if image is None or text is None:
        for modality, alone in probabilities.given().items():
            return np.asarray(alone * present.of(modality)[:, None], dtype=np.float32)
        raise ValueError("fuse needs the probabilities of at least one modality")
    share = np.where(present.text, weight, 1.0) * present.image
    rest = np.where(present.image, 1.0 - weight, 1.0) * present.text
    return np.asarray(share[:, None] * image + rest[:, None] * text, dtype=np.float32)
