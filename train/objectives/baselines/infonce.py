"""InfoNCE as CLIP has it (arXiv 2103.00020): pairs find each other among all of the batch, whatever their class."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.pairs import pair_loss


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """The symmetric cross-entropy of the pairs; CLIP learns the temperature, here it is a hyperparameter."""
    both, (image, text) = batch.both(), batch.embeddings()
    return {"pairs": pair_loss(image, text, both, both[:, None] * both[None, :], config.temperature)}
