"""HUSE and the objectives it is compared with (paper 4.2), on the same towers and features.

Each function gives the losses of a batch by name; their weighted sum is what training minimizes. B instances have up to
two modalities; `present` masks those that are there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from huse.train.config import FitConfig
from huse.train.objectives.losses import EPSILON, classification_loss, gap_loss, projection_loss
from huse.train.objectives.pairwise import pairwise_losses

FAR = 10.0
"""More than any cosine distance: marks pairs that are not to be chosen."""


@dataclass
class Batch:
    """What a network made of a batch.

    Attributes:
        outputs: ``image_embedding``, ``image_logits`` and the same of texts, each (B, ...).
        labels: (B,) class numbers.
        present: by modality, (B,) float mask.
        graph: (K, K) semantic distances.
        class_vectors: (K, D) unit vectors of the class names; D is 0 when there are none.
        class_weights: (K,) factor of each class's items in the classification loss, 1 on average over items.
        seed: (2,) integers, others in every step; all that an objective draws follows from them.
    """

    outputs: dict[str, tf.Tensor]
    labels: tf.Tensor
    present: dict[str, tf.Tensor]
    graph: tf.Tensor
    class_vectors: tf.Tensor
    class_weights: tf.Tensor
    seed: tf.Tensor

    def embeddings(self) -> list[tf.Tensor]:
        """(B, D) unit vectors of each modality."""
        return [self.outputs[f"{m}_embedding"] for m in self.present]

    def pooled(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Embeddings, labels and mask of all modalities, one after the other."""
        labels = tf.tile(self.labels, [len(self.present)])
        return tf.concat(self.embeddings(), 0), labels, tf.concat(list(self.present.values()), 0)

    def both(self) -> tf.Tensor:
        """(B,) 1 where an instance has both modalities."""
        return self.present["image"] * self.present["text"]


Losses = dict[str, tf.Tensor]
Objective = Callable[[Batch, FitConfig], Losses]


def huse(batch: Batch, config: FitConfig) -> Losses:
    """Classification, semantic graph and gap (eq. 5), and the contrastive loss when `delta` is set."""
    losses = {"class": config.alpha * _classification(batch)}
    if config.beta or config.delta:
        graph, contrastive = pairwise_losses(
            batch.embeddings(),
            batch.labels,
            list(batch.present.values()),
            batch.graph,
            config.zeta,
            config.margin,
            config.temperature if config.delta else None,
        )
        losses |= {"graph": config.beta * graph, "contrastive": config.delta * contrastive}
    return losses | _gap(batch, config)


def huse_p(batch: Batch, config: FitConfig) -> Losses:
    """HUSE-P: the projection loss (eq. 13) in place of the graph loss."""
    vectors, labels, there = batch.pooled()
    projection = projection_loss(vectors, tf.gather(batch.class_vectors, labels), there)
    return {"class": config.alpha * _classification(batch), "projection": config.beta * projection} | _gap(
        batch, config
    )


def separate(batch: Batch, config: FitConfig) -> Losses:
    """One classifier a modality and nothing that ties them."""
    return {"class": config.alpha * _classification(batch)}


def triplet(batch: Batch, config: FitConfig) -> Losses:
    """Triplet loss by class labels with semi-hard online negatives (FaceNet, arXiv 1503.03832)."""
    vectors, labels, there = batch.pooled()
    distance = 1.0 - tf.matmul(vectors, vectors, transpose_b=True)
    valid = there[:, None] * there[None, :] * (1.0 - tf.eye(tf.shape(labels)[0]))
    same = tf.cast(labels[:, None] == labels[None, :], tf.float32)
    return {"triplet": _semi_hard(distance, valid * same, valid * (1.0 - same), config.hinge, batch.seed)}


def cme(batch: Batch, config: FitConfig) -> Losses:
    """Cosine of true image-text pairs up, of all other pairs down, and separate classifiers."""
    cosine, both = _cross_cosine(batch), batch.both()
    pairs = both[:, None] * both[None, :] * (1.0 - tf.eye(tf.shape(both)[0]))
    apart = tf.reduce_sum(tf.nn.relu(cosine) * pairs) / (tf.reduce_sum(pairs) + EPSILON)
    image, text = batch.embeddings()
    together = gap_loss(image, text, both)
    return {"class": config.alpha * _classification(batch), "pairs": config.gamma * (together + apart)}


def adamine(batch: Batch, config: FitConfig) -> Losses:
    """Two triplet losses over cross-modal pairs, by instance and by class, each averaged over its active triplets."""
    distance, both = 1.0 - _cross_cosine(batch), batch.both()
    valid = both[:, None] * both[None, :]
    own = tf.eye(tf.shape(both)[0]) * valid
    same = tf.cast(batch.labels[:, None] == batch.labels[None, :], tf.float32) * valid
    losses = {"instance": 0.0, "semantic": 0.0}
    for way, d in enumerate((distance, tf.transpose(distance))):
        seed = tf.random.experimental.stateless_fold_in(batch.seed, way)
        losses["instance"] += 0.5 * _active_triplets(d, own, valid - own, config.hinge, seed)
        losses["semantic"] += 0.5 * _active_triplets(d, same, valid - same, config.hinge, seed)
    return losses


def devise(batch: Batch, config: FitConfig) -> Losses:
    """Ranking loss toward the class-name embeddings (DeViSE, extended to texts)."""
    vectors, labels, there = batch.pooled()
    scores = tf.matmul(vectors, batch.class_vectors, transpose_b=True)
    true = tf.gather(scores, labels, batch_dims=1)[:, None]
    hinge = tf.nn.relu(config.hinge - true + scores) * (1.0 - tf.one_hot(labels, tf.shape(scores)[1]))
    return {"ranking": tf.reduce_sum(tf.reduce_sum(hinge, 1) * there) / (tf.reduce_sum(there) + EPSILON)}


def hie(batch: Batch, config: FitConfig) -> Losses:
    """Cosine distance to the class-name embeddings, and classification (HIE, extended to texts)."""
    vectors, labels, there = batch.pooled()
    projection = 0.5 * projection_loss(vectors, tf.gather(batch.class_vectors, labels), there)
    return {"class": config.alpha * _classification(batch), "projection": config.beta * projection}


OBJECTIVES: dict[str, Objective] = {
    "huse": huse,
    "huse-p": huse_p,
    "separate": separate,
    "triplet": triplet,
    "cme": cme,
    "adamine": adamine,
    "devise": devise,
    "hie": hie,
}

ONTO_CLASS_NAMES = ("devise", "hie", "huse-p")
"""Objectives whose space is that of the class-name embeddings, so D is theirs."""

ACROSS_MODALITIES = ("cme", "adamine")
"""Objectives made of image-text pairs alone, so both modalities must be there."""

SEPARATE_HEADS = ("separate", "cme")
"""Objectives with one classifier a modality."""

WITHOUT_CLASSIFIER = ("triplet", "adamine", "devise")
"""Objectives that train no classifier; their accuracies say nothing."""

WITHOUT_SPACE = ("separate",)
"""Objectives that tie the modalities by nothing; their cross-modal retrieval says nothing."""


def _classification(batch: Batch) -> tf.Tensor:
    logits = tf.concat([batch.outputs[f"{m}_logits"] for m in batch.present], 0)
    labels = tf.tile(batch.labels, [len(batch.present)])
    there = tf.concat(list(batch.present.values()), 0)
    return classification_loss(logits, labels, there * tf.gather(batch.class_weights, labels))


def _gap(batch: Batch, config: FitConfig) -> Losses:
    if not config.gamma or len(batch.present) < 2:
        return {}
    image, text = batch.embeddings()
    return {"gap": config.gamma * gap_loss(image, text, batch.both())}


def _cross_cosine(batch: Batch) -> tf.Tensor:
    image, text = batch.embeddings()
    return tf.matmul(image, text, transpose_b=True)


def _semi_hard(
    distance: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor, hinge: float, seed: tf.Tensor
) -> tf.Tensor:
    """Mean over anchors of one positive each, against the nearest negative beyond it, or the farthest if none is."""
    chosen = _random_pick(distance, positive, seed)[:, None]
    beyond = tf.cast(distance > chosen, tf.float32) * negative
    nearest = tf.reduce_min(tf.where(beyond > 0, distance, FAR), axis=1)
    farthest = tf.reduce_max(tf.where(negative > 0, distance, -FAR), axis=1)
    against = tf.where(tf.reduce_any(beyond > 0, axis=1), nearest, farthest)
    valid = _any(positive) * _any(negative)
    return tf.reduce_sum(tf.nn.relu(chosen[:, 0] - against + hinge) * valid) / (tf.reduce_sum(valid) + EPSILON)


def _active_triplets(
    distance: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor, hinge: float, seed: tf.Tensor
) -> tf.Tensor:
    """Mean over the triplets that violate the margin, one positive an anchor (AdaMine, arXiv 1804.11146)."""
    chosen = _random_pick(distance, positive, seed)[:, None]
    terms = tf.nn.relu(chosen - distance + hinge) * negative * _any(positive)[:, None]
    active = tf.stop_gradient(tf.reduce_sum(tf.cast(terms > 0, tf.float32)))
    return tf.reduce_sum(terms) / (active + EPSILON)


def _random_pick(values: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """For every row, the value at a random place among those of the mask; the same seed gives the same places."""
    place = tf.argmax(mask * tf.random.stateless_uniform(tf.shape(mask), seed, 0.01, 1.0), axis=1)
    return tf.gather(values, place, batch_dims=1)


def _any(mask: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.reduce_any(mask > 0, axis=1), tf.float32)
