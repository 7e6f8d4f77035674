"""Losses that make the first dimensions of an embedding an embedding of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import tensorflow as tf

from huse.train.objectives.batch import Batch, Items, Settings

if TYPE_CHECKING:
    from huse.train.objectives.registry import Losses, Objective


def nested_losses(objective: Objective, batch: Batch, config: Settings, nested: Sequence[int]) -> Losses:
    """The losses of an objective over the whole embedding and over prefixes of it, averaged.

    As in Matryoshka representation learning (arXiv 2205.13147, eq. 1, all weights alike): with e the embeddings of D
    dimensions, e_n their first n dimensions, of unit length again, and L a loss of the objective, it becomes

        (L(e) + sum over n of L(e_n)) / (1 + how many n there are).

    Logits are those of the whole embedding. Without prefixes these are the objective's own losses.

    Args:
        objective: gives the losses of a batch by name.
        batch: embeddings of D dimensions.
        config: hyperparameters of the objective.
        nested: the lengths n, below D.
    """
    parts = [objective(batch, config), *(objective(prefix_of(batch, n), config) for n in nested)]
    return {name: tf.add_n([part[name] for part in parts]) / len(parts) for name in parts[0]} if nested else parts[0]


def prefix_of(batch: Batch, n: int) -> Batch:
    """The batch with the first n dimensions of its vectors, those of its classes too, as unit vectors."""

    def cut(vectors: tf.Tensor) -> tf.Tensor:
        return tf.math.l2_normalize(vectors[:, :n], axis=1)

    def of(items: Items | None) -> Items | None:
        return None if items is None else replace(items, embedding=cut(items.embedding))

    return replace(batch, modalities=batch.modalities.map(of), class_vectors=cut(batch.class_vectors))
