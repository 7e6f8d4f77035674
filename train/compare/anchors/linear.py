"""One linear map a modality onto the one-hot labels, by ridge regression; items are compared by what it gives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from huse.features.unit_rows import unit_rows
from huse.train.compare.anchors.trained import Trained, one_a_modality
from huse.train.data.batches import TrainingRows
from huse.train.network.forward import Output


def fit_linear(data: TrainingRows, classes: int, alpha: float) -> Trained:
    """Trains the maps, which have a closed form.

    Args:
        data: training rows.
        classes: K.
        alpha: strength of the regularization.

    Returns:
        A function from rows to outputs like a network's: logits are the maps' values (n, K), embeddings the unit
        vectors (n, K) along these minus the share of each class among the training rows.
    """
    return one_a_modality(data, lambda features, labels: _Map(features, np.eye(classes)[labels], alpha))


class _Map:
    def __init__(self, features: NDArray[np.float32], target: NDArray[np.float64], alpha: float) -> None:
        self.mean = target.mean(axis=0)
        self.model = Ridge(alpha=alpha).fit(features, target)
        self.parameters = (features.shape[1] + 1) * target.shape[1]

    def output(self, features: NDArray[np.float32]) -> Output:
        values = self.model.predict(features).reshape(len(features), -1)
        return Output(unit_rows(values - self.mean), values.astype(np.float32))
