"""Supervised contrastive loss alone (arXiv 2004.11362), over the items of both modalities."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.losses import contrastive_loss


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """The loss that plain HUSE has beside its own."""
    return {"contrastive": contrastive_loss(*batch.pooled(), config.temperature)}
