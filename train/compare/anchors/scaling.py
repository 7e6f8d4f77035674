"""Features as the towers of the default preset see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huse.features.modality import Pair, Side
from huse.train.data.batches import Moments, TrainingRows, signed_square_root


@dataclass(frozen=True)
class Scaling:
    """Brings the features of a modality to mean 0 and variance 1, sparse ones less; images after a signed square root.

    Attributes:
        modality: whose features they are.
        moments: of the training rows.
    """

    modality: str
    moments: Moments

    @classmethod
    def of(cls, data: TrainingRows, modality: str) -> Scaling:
        """By the moments of training rows."""
        return cls(modality, data.moments(modality, np.arange(len(data)), modality == "image"))

    def __call__(self, sides: Pair[Side]) -> NDArray[np.float32]:
        """(n, Di) scaled features of n rows."""
        features = sides.of(self.modality).vectors.astype(np.float32)
        if self.modality == "image":
            features = signed_square_root(features)
        return np.asarray((features - self.moments.mean) / self.moments.deviation(), np.float32)
