"""HUSE (paper section 3.2), with a contrastive loss beside it."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.pairwise import pairwise_losses


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """Classification, semantic graph and gap (eq. 5), and the contrastive loss when `delta` is set."""
    losses = {"class": config.alpha * batch.classification()}
    if config.beta or config.delta:
        graph, contrastive = pairwise_losses(
            batch.embeddings(),
            batch.labels,
            batch.present(),
            batch.graph,
            config.zeta,
            config.margin,
            config.temperature if config.delta else None,
        )
        losses |= {"graph": config.beta * graph, "contrastive": config.delta * contrastive}
    return losses | batch.weighted_gap(config.gamma)
