"""Separate models: one classifier a modality and nothing that ties them."""

from __future__ import annotations

import tensorflow as tf

from huse.train.objectives.batch import Batch, Settings


def losses(batch: Batch, config: Settings) -> dict[str, tf.Tensor]:
    """The classification loss alone."""
    return {"class": config.alpha * batch.classification()}
