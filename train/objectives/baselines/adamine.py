"""AdaMine (arXiv 1804.11146): triplets over cross-modal pairs, averaged over the active ones."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.baselines.positives import has_any, random_positive
from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.losses import EPSILON


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """Two triplet losses over cross-modal pairs, by instance and by class, from images and from texts."""
    distance, both = 1.0 - batch.cross_cosine(), batch.both()
    valid = both[:, None] * both[None, :]
    own = tf.eye(tf.shape(both)[0]) * valid
    same = tf.cast(batch.labels[:, None] == batch.labels[None, :], tf.float32) * valid
    losses = {"instance": 0.0, "semantic": 0.0}
    for way, d in enumerate((distance, tf.transpose(distance))):
        seed = tf.random.experimental.stateless_fold_in(batch.seed, way)
        losses["instance"] += 0.5 * _active_triplets(d, own, valid - own, config.hinge, seed)
        losses["semantic"] += 0.5 * _active_triplets(d, same, valid - same, config.hinge, seed)
    return losses


def _active_triplets(
    distance: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor, hinge: float, seed: tf.Tensor
) -> tf.Tensor:
    """Mean over the triplets that violate the margin, one positive an anchor."""
    chosen = random_positive(distance, positive, seed)[:, None]
    terms = tf.nn.relu(chosen - distance + hinge) * negative * has_any(positive)[:, None]
    active = tf.stop_gradient(tf.reduce_sum(tf.cast(terms > 0, tf.float32)))
    return tf.reduce_sum(terms) / (active + EPSILON)
