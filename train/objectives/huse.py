"""HUSE (paper section 3.2), with contrastive losses beside it."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.batch import Batch, Settings
from huse.train.objectives.pairwise import pairwise_losses


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """Classification, semantic graph and gap (eq. 5), the contrastive loss when `delta` is set, and that of pairs.

    Instances without a label take part in the gap and in the loss of pairs.
    """
    by_class = _by_class(batch, config) if batch.classes else {}
    pairs = batch.weighted_pairs(config.pair_weight, config.temperature)
    return by_class | batch.weighted_gap(config.gamma) | pairs


def _by_class(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    losses = {"class": config.alpha * batch.classification()}
    if config.beta or config.delta:
        graph, contrastive = pairwise_losses(
            batch.embeddings(),
            batch.labels,
            batch.classed(),
            batch.graph,
            config.zeta,
            config.margin,
            config.temperature if config.delta else None,
        )
        losses |= {"graph": config.beta * graph, "contrastive": config.delta * contrastive}
    return losses
