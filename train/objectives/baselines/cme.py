"""CME: cosine of true image-text pairs up, of all other pairs down, and separate classifiers."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.losses import EPSILON


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """Classification, and the pairs' loss."""
    cosine, both = batch.cross_cosine(), batch.both()
    pairs = both[:, None] * both[None, :] * (1.0 - tf.eye(tf.shape(both)[0]))
    apart = tf.reduce_sum(tf.nn.relu(cosine) * pairs) / (tf.reduce_sum(pairs) + EPSILON)
    return {"class": config.alpha * batch.classification(), "pairs": config.gamma * (batch.gap() + apart)}
