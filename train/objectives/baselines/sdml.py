"""SDML (Hu et al., SIGIR 2019): a common space that is drawn once, in which each class has a direction of its own."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from huse.train.objectives.baselines.norms import row_norms
from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.losses import mean_over


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """The distance of u P to the one-hot label, mean over items; P is the fixed space, and nothing ties the modalities.

    The published network also decodes its input again, with a weight that is tuned; this one does not.
    """
    vectors, labels, there = batch.pooled()
    space = tf.constant(class_directions(int(vectors.shape[1]), batch.classes))
    distance = row_norms(tf.matmul(vectors, space) - tf.one_hot(labels, batch.classes))
    return {"class": config.alpha * mean_over(distance, there)}


def class_directions(dimension: int, classes: int) -> NDArray[np.float32]:
    """(D, K) random unit columns, the same in every fit; orthogonal where D has room for them."""
    drawn = np.random.default_rng(0).standard_normal((dimension, classes))
    if classes <= dimension:
        drawn = np.linalg.qr(drawn)[0]
    return np.asarray(drawn / np.linalg.norm(drawn, axis=0), np.float32)
