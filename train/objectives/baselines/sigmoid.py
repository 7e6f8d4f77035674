"""SigLIP (arXiv 2303.15343): every image with every text is a question of its own, a pair or not."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.losses import EPSILON


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """The sum of -log sigmoid(z (s / temperature + b)) over all images and texts, divided by the number of pairs.

    s is their cosine; z is 1 for an image and its text, else -1. SigLIP learns temperature and bias, from a bias that
    says how rare pairs are. Here the temperature is a hyperparameter and the bias b is -log of the other pairs of the
    batch, so that at s = 0 one of them is expected.
    """
    both = batch.both()
    count = tf.reduce_sum(both)
    bias = -tf.math.log(tf.maximum(count - 1.0, 1.0))
    is_pair = tf.eye(tf.shape(both)[0])
    terms = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=is_pair, logits=batch.cross_cosine() / config.temperature + bias
    )
    return {"pairs": tf.reduce_sum(terms * both[:, None] * both[None, :]) / (count + EPSILON)}
