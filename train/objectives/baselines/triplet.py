"""Triplets by class labels with semi-hard online negatives (FaceNet, arXiv 1503.03832)."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.baselines.positives import has_any, random_positive
from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.losses import EPSILON

FAR = 10.0
"""More than any cosine distance: marks pairs that are not to be chosen."""


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """The triplet loss over the items of both modalities."""
    vectors, labels, there = batch.pooled()
    distance = 1.0 - tf.matmul(vectors, vectors, transpose_b=True)
    valid = there[:, None] * there[None, :] * (1.0 - tf.eye(tf.shape(labels)[0]))
    same = tf.cast(labels[:, None] == labels[None, :], tf.float32)
    return {"triplet": _semi_hard(distance, valid * same, valid * (1.0 - same), config.hinge, batch.seed)}


def _semi_hard(
    distance: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor, hinge: float, seed: tf.Tensor
) -> tf.Tensor:
    """Mean over anchors of one positive each, against the nearest negative beyond it, or the farthest if none is."""
    chosen = random_positive(distance, positive, seed)[:, None]
    beyond = tf.cast(distance > chosen, tf.float32) * negative
    nearest = tf.reduce_min(tf.where(beyond > 0, distance, FAR), axis=1)
    farthest = tf.reduce_max(tf.where(negative > 0, distance, -FAR), axis=1)
    against = tf.where(tf.reduce_any(beyond > 0, axis=1), nearest, farthest)
    valid = has_any(positive) * has_any(negative)
    return tf.reduce_sum(tf.nn.relu(chosen[:, 0] - against + hinge) * valid) / (tf.reduce_sum(valid) + EPSILON)
