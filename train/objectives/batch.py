"""What a network made of a batch, and the losses that several objectives share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf

from huse.features.modality import Pair
from huse.train.objectives.losses import classification_loss, gap_loss
from huse.train.objectives.pairs import pair_loss


class Settings(Protocol):
    """The hyperparameters of the objectives; `FitConfig` has them, and says what each is."""

    @property
    def alpha(self) -> float: ...  # noqa: D102
    @property
    def beta(self) -> float: ...  # noqa: D102
    @property
    def gamma(self) -> float: ...  # noqa: D102
    @property
    def delta(self) -> float: ...  # noqa: D102
    @property
    def temperature(self) -> float: ...  # noqa: D102
    @property
    def zeta(self) -> float: ...  # noqa: D102
    @property
    def margin(self) -> str: ...  # noqa: D102
    @property
    def hinge(self) -> float: ...  # noqa: D102
    @property
    def pair_weight(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Pairing:
    """What is known of B instances of which some have no label.

    Attributes:
        labeled: (B,) float mask of the instances that have one.
        content: (B,) for each modality, a number that instances of equal content share.
    """

    labeled: tf.Tensor
    content: Pair[tf.Tensor]

    def different(self) -> tf.Tensor:
        """(B, B) float, 1 where two instances share neither their image nor their text."""
        image, text = (numbers[:, None] != numbers[None, :] for _, numbers in self.content.items())
        return tf.cast(image & text, self.labeled.dtype)


@dataclass(frozen=True, eq=False)
class Items:
    """What a network made of the B instances of a batch in one modality.

    Attributes:
        embedding: (B, D) unit vectors.
        logits: (B, K).
        present: (B,) float mask of the instances that have the modality.
    """

    embedding: tf.Tensor
    logits: tf.Tensor
    present: tf.Tensor


@dataclass
class Batch:
    """What a network made of B instances of up to two modalities.

    Attributes:
        modalities: the items of each; None of one that the network does not know.
        labels: (B,) class numbers; any for an instance that has no label.
        graph: (K, K) semantic distances.
        class_vectors: (K, D) unit vectors of the class names; D is 0 when there are none.
        class_weights: (K,) factor of each class's items in the classification loss, 1 on average over items.
        seed: (2,) integers, others in every step; all that an objective draws follows from them.
        pairing: which instances have a label; None when all have.
    """

    modalities: Pair[Items | None]
    labels: tf.Tensor
    graph: tf.Tensor
    class_vectors: tf.Tensor
    class_weights: tf.Tensor
    seed: tf.Tensor
    pairing: Pairing | None = None

    @property
    def classes(self) -> int:
        """K; 0 where pairs alone are trained on, so that no loss by class can be had."""
        return int(self.graph.shape[0])

    @property
    def items(self) -> list[Items]:
        """Those of the one modality or of both, images first."""
        return list(self.modalities.given().values())

    def embeddings(self) -> list[tf.Tensor]:
        """(B, D) unit vectors of each modality."""
        return [its.embedding for its in self.items]

    def present(self) -> list[tf.Tensor]:
        """(B,) float mask of each modality."""
        return [its.present for its in self.items]

    def classed(self) -> list[tf.Tensor]:
        """(B,) float mask of each modality, of the instances that have a label too."""
        return [there if self.pairing is None else there * self.pairing.labeled for there in self.present()]

    def pooled(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Embeddings, labels and mask of those that have one, of all modalities, one after the other."""
        labels = tf.tile(self.labels, [len(self.items)])
        return tf.concat(self.embeddings(), 0), labels, tf.concat(self.classed(), 0)

    def both(self) -> tf.Tensor:
        """(B,) 1 where an instance has both modalities."""
        image, text = self.present()
        return image * text

    def cross_cosine(self) -> tf.Tensor:
        """(B, B) cosine of every image with every text."""
        image, text = self.embeddings()
        return tf.matmul(image, text, transpose_b=True)

    def classification(self) -> tf.Tensor:
        """The classification loss of the items of all modalities (eq. 8), weighted by class."""
        logits = tf.concat([its.logits for its in self.items], 0)
        labels = tf.tile(self.labels, [len(self.items)])
        there = tf.concat(self.classed(), 0)
        return classification_loss(logits, labels, there * tf.gather(self.class_weights, labels))

    def gap(self) -> tf.Tensor:
        """The cross-modal gap (eq. 12) of both modalities."""
        image, text = self.embeddings()
        return gap_loss(image, text, self.both())

    def weighted_gap(self, weight: float) -> dict[str, tf.Tensor]:
        """The gap as a part of a loss; no part without a weight, or where there is one modality alone."""
        return {"gap": weight * self.gap()} if weight and len(self.items) == 2 else {}

    def weighted_pairs(self, weight: float, temperature: float) -> dict[str, tf.Tensor]:
        """The contrastive loss of the pairs without a label as a part of a loss; no part where all have one."""
        if not weight or self.pairing is None or len(self.items) < 2:
            return {}
        both, (image, text) = self.both(), self.embeddings()
        others = both[:, None] * both[None, :] * self.pairing.different()
        return {"pairs": weight * pair_loss(image, text, both * (1.0 - self.pairing.labeled), others, temperature)}
