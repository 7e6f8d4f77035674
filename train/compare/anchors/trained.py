"""What the training of an anchor gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from huse.features.modality import Pair
from huse.features.rows import Rows
from huse.train.compare.anchors.scaling import Scaling
from huse.train.data.batches import TrainingRows
from huse.train.network.forward import Output, Outputs


@dataclass(frozen=True)
class Trained:
    """A model without towers.

    Attributes:
        forward: from rows to outputs like a network's.
        parameters: how many numbers training chose.
    """

    forward: Callable[[Rows | TrainingRows], Outputs]
    parameters: int

    def __call__(self, rows: Rows | TrainingRows) -> Outputs:
        """What it makes of rows."""
        return self.forward(rows)


class OfOne(Protocol):
    """A model of one modality."""

    @property
    def parameters(self) -> int: ...  # noqa: D102

    def output(self, features: NDArray[np.float32]) -> Output:
        """What it makes of (n, Di) scaled features."""


def one_a_modality(data: TrainingRows, fit: Callable[[NDArray[np.float32], NDArray[Any]], OfOne]) -> Trained:
    """A model for each modality that some row has, trained by itself.

    Args:
        data: training rows.
        fit: from (n, Di) scaled features and their (n,) class numbers.
    """

    def fitted(modality: str) -> tuple[Scaling, OfOne] | None:
        has = data.present.of(modality)
        if not has.any():
            return None
        scaling = Scaling.of(data, modality)
        return scaling, fit(scaling(data.modalities)[has], data.labels[has])

    models = Pair.by_name(fitted).given()

    def forward(rows: Rows | TrainingRows) -> Outputs:
        made = {name: model.output(scaling(rows.modalities)) for name, (scaling, model) in models.items()}
        return Pair.by_name(made.get)

    return Trained(forward, sum(model.parameters for _, model in models.values()))
