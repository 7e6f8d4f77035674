"""HIE, extended to texts: cosine distance to the class names, and classification."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.losses import projection_loss


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """Classification, and the cosine distance to the class-name vectors."""
    vectors, labels, there = batch.pooled()
    projection = 0.5 * projection_loss(vectors, tf.gather(batch.class_vectors, labels), there)
    return {"class": config.alpha * batch.classification(), "projection": config.beta * projection}
