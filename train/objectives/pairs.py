"""The contrastive loss of image-text pairs, which takes no labels (not in the paper)."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.losses import mean_over


def pair_loss(
    image: tf.Tensor, text: tf.Tensor, anchors: tf.Tensor, others: tf.Tensor, temperature: float
) -> tf.Tensor:
    """Symmetric InfoNCE (van den Oord et al., arXiv 1807.03748; as in CLIP, arXiv 2103.00020).

    With s_ij the cosine of image i and text j over the temperature, the mean over anchors i and both directions of
    -log of exp(s_ii) / (exp(s_ii) + sum over the others j of exp(s_ij)), s_ji in the other direction.

    Args:
        image: (B, D) unit vectors.
        text: (B, D) unit vectors of the same instances.
        anchors: (B,) float, 1 for the instances whose image and text are to find each other.
        others: (B, B) float, symmetric, 1 where two instances are each other's negatives.
        temperature: divides the similarities.
    """
    similarity = tf.matmul(image, text, transpose_b=True) / temperature
    own = tf.linalg.diag_part(similarity)
    kept = tf.linalg.set_diag(others, tf.ones_like(own))
    similarity += (kept - 1.0) * 1e9
    found = [tf.reduce_logsumexp(similarity, axis=axis) - own for axis in (0, 1)]
    return mean_over(0.5 * tf.add_n(found), anchors)
