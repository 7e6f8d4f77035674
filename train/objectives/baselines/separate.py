"""Separate models: one classifier a modality and nothing that ties them."""

from __future__ import annotations

import tensorflow as tf

from huse.train.config import FitConfig
from huse.train.objectives.batch import Batch


def losses(batch: Batch, config: FitConfig) -> dict[str, tf.Tensor]:
    """The classification loss alone."""
    return {"class": config.alpha * batch.classification()}
