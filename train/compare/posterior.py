"""Semantic matching: one logistic regression a modality, items compared by their class posteriors.

Simple and hard to beat (Rasiwasia et al., ACM MM 2010, "semantic matching"): the baseline that any learned space has to
pass.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from huse.features.modality import Pair, Side
from huse.features.rows import Rows
from huse.train.data.batches import Moments, TrainingRows
from huse.train.network.forward import Output, Outputs


def fit_posterior(data: TrainingRows, classes: int, c: float) -> Callable[[Rows | TrainingRows], Outputs]:
    """Trains the classifiers on features scaled as for the towers, images after a signed square root.

    Args:
        data: training rows.
        classes: K.
        c: inverse strength of the regularization.

    Returns:
        A function from rows to outputs like a network's: logits are log posteriors (n, K), embeddings the unit vectors
        (n, K) along posterior minus mean training posterior, whose cosine is the centered cosine.
    """

    def fitted(modality: str) -> _Classifier | None:
        has = data.present.of(modality)
        if not has.any():
            return None
        moments = data.moments(modality, np.arange(len(data)), modality == "image")
        features = _transformed(data.modalities, modality)
        return _Classifier(features[has], data.labels[has], classes, c, moments)

    models = Pair.by_name(fitted)

    def forward(rows: Rows | TrainingRows) -> Outputs:
        made = {m: model.output(_transformed(rows.modalities, m)) for m, model in models.given().items()}
        return Pair.by_name(made.get)

    return forward


class _Classifier:
    def __init__(
        self, features: NDArray[np.float32], labels: NDArray[np.int32], classes: int, c: float, moments: Moments
    ) -> None:
        self.classes = classes
        self.moments = moments
        self.known = np.unique(labels)
        self.model = LogisticRegression(C=c, max_iter=300)
        if len(self.known) > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # a weak regularization may stop at max_iter
                self.model.fit(self._scaled(features), labels)
        self.mean = self.posterior(features).mean(axis=0, keepdims=True)

    def posterior(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        result = np.zeros((len(features), self.classes))
        result[:, self.known] = self.model.predict_proba(self._scaled(features)) if len(self.known) > 1 else 1.0
        return result

    def output(self, features: NDArray[np.float32]) -> Output:
        posterior = self.posterior(features)
        centered = posterior - self.mean
        norm = np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), 1e-12)
        logits = np.log(np.maximum(posterior, 1e-30))
        return Output((centered / norm).astype(np.float32), logits.astype(np.float32))

    def _scaled(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray((features - self.moments.mean) / self.moments.deviation(), np.float32)


def _transformed(sides: Pair[Side], modality: str) -> NDArray[np.float32]:
    features = sides.of(modality).vectors.astype(np.float32)
    if modality == "image":
        features = np.sign(features) * np.sqrt(np.abs(features))
    return np.asarray(features)
