"""The anchors by name: how each is trained, and what is tuned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from huse.train.compare.anchors.cca import fit_cca
from huse.train.compare.anchors.linear import fit_linear
from huse.train.compare.anchors.posterior import fit_posterior
from huse.train.compare.anchors.trained import Trained
from huse.train.data.batches import TrainingRows
from huse.train.objectives.registry import Traits


@dataclass(frozen=True)
class Anchor:
    """A method without towers.

    Attributes:
        fit: from training rows, the number of classes and the tuned value to a model.
        tuned: name of that value.
        values: those that are tried, in this order.
        traits: what it needs, and which figures say something of it.
    """

    fit: Callable[[TrainingRows, int, float], Trained]
    tuned: str
    values: tuple[float, ...]
    traits: Traits


ANCHORS = {
    "posterior": Anchor(fit_posterior, "C", (0.01, 0.003, 0.03, 0.001, 0.1, 0.0003, 0.3, 1.0), Traits()),
    "linear": Anchor(fit_linear, "alpha", (1e3, 3e3, 300.0, 1e4, 100.0, 3e4, 30.0, 10.0), Traits()),
    "cca": Anchor(
        fit_cca,
        "components",
        (64, 32, 128, 16, 256, 8, 96, 48),
        Traits(across_modalities=True, classifier=False),
    ),
}
