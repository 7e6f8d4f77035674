"""DeViSE, extended to texts: a ranking loss toward the class names."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.losses import EPSILON


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """Hinge of every wrong class name against the right one."""
    vectors, labels, there = batch.pooled()
    scores = tf.matmul(vectors, batch.class_vectors, transpose_b=True)
    true = tf.gather(scores, labels, batch_dims=1)[:, None]
    hinge = tf.nn.relu(config.hinge - true + scores) * (1.0 - tf.one_hot(labels, tf.shape(scores)[1]))
    return {"ranking": tf.reduce_sum(tf.reduce_sum(hinge, 1) * there) / (tf.reduce_sum(there) + EPSILON)}
