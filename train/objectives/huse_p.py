"""HUSE-P (paper section 4.2): items are drawn to their class names instead of by the semantic graph."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.losses import projection_loss


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """The projection loss (eq. 13) in place of the graph loss."""
    vectors, labels, there = batch.pooled()
    projection = projection_loss(vectors, tf.gather(batch.class_vectors, labels), there)
    losses = {"class": config.alpha * batch.classification(), "projection": config.beta * projection}
    return losses | batch.weighted_gap(config.gamma)
