"""How a method of `huse compare` is tuned on validation rows, trained again, and asked for the test rows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from huse.features.rows import Rows
from huse.train.compare.anchors.registry import Anchor
from huse.train.compare.anchors.trained import Trained
from huse.train.compare.methods import METHODS, SPACES
from huse.train.config import FitConfig
from huse.train.data.task import FitData, Task
from huse.train.evaluation.measure import best_fusion_weight, metrics_of, validation_score
from huse.train.fit import fit_towers
from huse.train.loop.search import search_best
from huse.train.loop.strategy import training_scope
from huse.train.network.forward import Outputs, features_of, make_forward
from huse.train.network.precision import resolved


@dataclass(frozen=True, eq=False)
class Run:
    """A method trained once on all but the test rows.

    Attributes:
        outputs: for the test rows.
        classes: names of the classes it knows.
        fusion_weight: share of the image in the fused class.
        seconds: that training took, the search for the epoch included.
        parameters: how many numbers were trained.
    """

    outputs: Outputs
    classes: list[str]
    fusion_weight: float
    seconds: float
    parameters: int


class Contestant(Protocol):
    """A method with what is tuned of it."""

    def draw(self, trial: int) -> Any:
        """The configuration of a trial; the first is the default one."""

    def validate(self, config: Any) -> float:
        """The validation score of a configuration."""

    def run(self, config: Any, seed: int, test: Rows) -> Run:
        """The configuration from a seed, trained on all but the test rows."""

    def describe(self, config: Any) -> dict[str, Any]:
        """The configuration, JSON-ready."""


class Towers:
    """Towers under one objective."""

    def __init__(self, method: str, base: FitConfig, data: FitData) -> None:
        self.method = method
        self.base = resolved(base)
        self.data = data

    def draw(self, trial: int) -> FitConfig:
        """The default configuration, then random ones of the method's space."""
        if not trial:
            return self.base
        rng = np.random.default_rng([trial, METHODS.index(self.method)])
        space = {"dropout": (0.3, 0.5), "input_dropout": (0.0, 0.2), **SPACES[self.method]}
        drawn: Mapping[str, Any] = {name: values[rng.integers(len(values))] for name, values in space.items()}
        return replace(self.base, learning_rate=float(10 ** rng.uniform(-3.5, -2.5)), **drawn)

    def validate(self, config: FitConfig) -> float:
        """The validation score of the best epoch."""
        task = self.data.split(config)
        with training_scope(config):
            return validation_score(search_best(task, config).metrics, config.objective)

    def run(self, config: FitConfig, seed: int, test: Rows) -> Run:
        """As `huse fit` trains, refit included."""
        config, began = replace(config, seed=seed), time.perf_counter()
        task = self.data.split(config)
        best = fit_towers(task, config)
        seconds = time.perf_counter() - began
        outputs = make_forward(best.network)(features_of(test, best.network))
        trained = sum(int(np.prod(weight.shape)) for weight in best.network.trainable_weights)
        return Run(outputs, task.classes, best.fusion_weight, seconds, trained)

    def describe(self, config: FitConfig) -> dict[str, Any]:
        """All hyperparameters."""
        return config.to_dict()


class Anchored:
    """A method without towers; a configuration is its one tuned value."""

    def __init__(self, anchor: Anchor, base: FitConfig, data: FitData) -> None:
        self.anchor = anchor
        self.base = replace(base, class_names=False)
        self.data = data

    def draw(self, trial: int) -> float:
        """The values in turn."""
        return self.anchor.values[trial % len(self.anchor.values)]

    def validate(self, config: float) -> float:
        """The validation score of a value."""
        task = self.data.split(self.base)
        outputs = self._fitted(task, task.train, config)(task.val)
        metrics = metrics_of(outputs, task.val, task.val_labels, 0.5, instances=False)
        return validation_score(metrics)

    def run(self, config: float, seed: int, test: Rows) -> Run:
        """Trained on everything else; the seed holds out the rows that the fusion weight is chosen on."""
        began, weight = time.perf_counter(), 0.5
        task = self.data.split(replace(self.base, seed=seed))
        if self.anchor.traits.classifier and len(task.val):
            weight = best_fusion_weight(self._fitted(task, task.train, config)(task.val), task.val)
        rows = task.train if task.everything is None else task.everything
        trained = self._fitted(task, rows, config)
        seconds = time.perf_counter() - began
        return Run(trained(test), task.classes, weight, seconds, trained.parameters)

    def describe(self, config: float) -> dict[str, Any]:
        """The value by its name."""
        return {self.anchor.tuned: config}

    def _fitted(self, task: Task, rows: NDArray[np.integer], value: float) -> Trained:
        return self.anchor.fit(task.data.take(rows), len(task.classes), value)
