"""Semantic matching: one logistic regression a modality, items compared by their class posteriors.

Simple and hard to beat (Rasiwasia et al., ACM MM 2010, "semantic matching"): the baseline that any learned space has to
pass.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from huse.features.unit_rows import unit_rows
from huse.train.compare.anchors.trained import Trained, one_a_modality
from huse.train.data.batches import TrainingRows
from huse.train.network.forward import Output


def fit_posterior(data: TrainingRows, classes: int, c: float) -> Trained:
    """Trains the classifiers.

    Args:
        data: training rows.
        classes: K.
        c: inverse strength of the regularization.

    Returns:
        A function from rows to outputs like a network's: logits are log posteriors (n, K), embeddings the unit vectors
        (n, K) along posterior minus mean training posterior, whose cosine is the centered cosine.
    """
    return one_a_modality(data, lambda features, labels: _Classifier(features, labels, classes, c))


class _Classifier:
    def __init__(self, features: NDArray[np.float32], labels: NDArray[np.int32], classes: int, c: float) -> None:
        self.classes = classes
        self.known = np.unique(labels)
        self.parameters = (features.shape[1] + 1) * len(self.known)
        self.model = LogisticRegression(C=c, max_iter=300)
        if len(self.known) > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # a weak regularization may stop at max_iter
                self.model.fit(features, labels)
        self.mean = self._posterior(features).mean(axis=0, keepdims=True)

    def output(self, features: NDArray[np.float32]) -> Output:
        posterior = self._posterior(features)
        logits = np.log(np.maximum(posterior, 1e-30))
        return Output(unit_rows(posterior - self.mean), logits.astype(np.float32))

    def _posterior(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        result = np.zeros((len(features), self.classes))
        result[:, self.known] = self.model.predict_proba(features) if len(self.known) > 1 else 1.0
        return result
