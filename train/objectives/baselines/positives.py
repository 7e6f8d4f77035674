"""The positive of each anchor of a triplet loss, drawn at random."""

from __future__ import annotations

import tensorflow as tf


def random_positive(values: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """For every row, the value at a random column among those of the mask.

    Args:
        values: (n, m).
        mask: (n, m) float, 1 for the columns to draw from; a row of zeros gives the value of the first column.
        seed: (2,) integers; the same give the same columns.

    Returns:
        (n,) values.
    """
    column = tf.argmax(mask * tf.random.stateless_uniform(tf.shape(mask), seed, 0.01, 1.0), axis=1)
    return tf.gather(values, column, batch_dims=1)


def has_any(mask: tf.Tensor) -> tf.Tensor:
    """(n,) float, 1 for the rows of an (n, m) mask that have a column."""
    return tf.cast(tf.reduce_any(mask > 0, axis=1), tf.float32)
