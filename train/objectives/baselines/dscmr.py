"""DSCMR (Zhen et al., CVPR 2019): discrimination by label and by pairwise similarity, and invariance to modality."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.baselines.norms import row_norms
from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.losses import EPSILON, mean_over


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """The three terms, with alpha, beta and gamma as their weights; the paper's are 1, 0.001 and 0.1.

    - class: the distance of the logits to the one-hot label, mean over items, images and texts added;
    - similarity: log(1 + e^c) - S c, mean over pairs of items within and across modalities, each kind by itself and
      added; c is half their cosine, and S is 1 for items of one class;
    - invariance: the distance of the embeddings of an image and its text.
    """
    image, text = batch.embeddings()
    similarity = _similarity(image, image, batch, 0, 0) + _similarity(text, text, batch, 1, 1)
    return {
        "class": config.alpha * _label_distance(batch),
        "similarity": config.beta * (similarity + _similarity(image, text, batch, 0, 1)),
        "invariance": config.gamma * mean_over(row_norms(image - text), batch.both()),
    }


def _label_distance(batch: Batch) -> tf.Tensor:
    target = tf.one_hot(batch.labels, batch.classes)
    return tf.add_n([mean_over(row_norms(its.logits - target), its.present) for its in batch.items])


def _similarity(a: tf.Tensor, b: tf.Tensor, batch: Batch, first: int, second: int) -> tf.Tensor:
    half = 0.5 * tf.matmul(a, b, transpose_b=True)
    same = tf.cast(batch.labels[:, None] == batch.labels[None, :], half.dtype)
    there = batch.present()
    pairs = there[first][:, None] * there[second][None, :]
    return tf.reduce_sum((tf.nn.softplus(half) - same * half) * pairs) / (tf.reduce_sum(pairs) + EPSILON)
