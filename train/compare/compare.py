"""`huse compare`: every objective with the same towers, features and budget, as the paper's Tables 1 to 3."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.features.errors import FitError, StoreError
from huse.features.files.place import place
from huse.features.info import FEATURES
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.classes.taxonomy import read_taxonomy
from huse.train.compare.posterior import fit_posterior
from huse.train.compare.tables import Result, require_tables, write_tables
from huse.train.config import PRESETS, FitConfig, preset
from huse.train.data.batches import TrainingRows
from huse.train.data.task import FitData, Task, read_fit_data
from huse.train.evaluation.measure import best_fusion_weight, hierarchical_metrics_of, metrics_of, validation_score
from huse.train.fit import fit_towers
from huse.train.loop.search import search_best
from huse.train.network.forward import Outputs, features_of, make_forward
from huse.train.objectives.registry import OBJECTIVES, Traits

POSTERIOR = "posterior"
METHODS = (POSTERIOR, "separate", "triplet", "cme", "adamine", "devise", "hie", "huse-p", "huse-paper", "huse")
"""`huse-paper` has the losses as printed, with the default towers and optimizer; `huse` is the default preset."""

SPACES: dict[str, dict[str, tuple[Any, ...]]] = {
    "separate": {},
    "triplet": {"hinge": (0.1, 0.2, 0.4)},
    "cme": {"gamma": (0.3, 1.0, 3.0)},
    "adamine": {"hinge": (0.1, 0.2, 0.4)},
    "devise": {"hinge": (0.1, 0.2, 0.4)},
    "hie": {"beta": (0.3, 1.0, 3.0)},
    "huse-p": {"beta": (0.3, 1.0, 3.0), "gamma": (0.0, 0.5, 1.0)},
    "huse-paper": {"beta": (0.3, 1.0, 3.0), "gamma": (0.0, 0.5, 1.0), "zeta": (0.5, 0.7)},
    "huse": {"blend": (0.5, 0.7, 0.85), "temperature": (0.1, 0.2, 0.3), "delta": (0.5, 1.0), "gamma": (0.0, 0.5)},
}
"""What a random search may change, besides learning rate and dropout."""


def compare(
    store: str | Path,
    out: str | Path,
    methods: tuple[str, ...] | None = None,
    seeds: int = 3,
    trials: int = 3,
    taxonomy: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    semantic_graph: str = "auto",
) -> Result:
    """Tunes each method by the same number of trials on validation rows, then measures it on the test rows.

    Args:
        store: features with labels and a test split.
        out: folder for tables.md, tables.csv, tables.json and bars.png.
        methods: some of `METHODS`; by default all that the store has what they need for.
        seeds: runs of each tuned method, for mean and spread.
        trials: configurations tried a method; the first is the default one.
        taxonomy: file for HP@K, see `read_taxonomy`; label paths by default.
        changes: hyperparameters set for every method, such as fewer epochs.
        semantic_graph: see `load_graph`.

    Returns:
        By method: ``config``, ``val_score``, and ``metrics`` with ``mean`` and ``std`` of every metric.

    Raises:
        FitError: an unknown method, a store that does not allow training or tuning, or a taxonomy that cannot be used.
        StoreError: no test rows.
    """
    unknown = set(methods or ()) - set(METHODS)
    if unknown:
        raise FitError(f"no objective {', '.join(sorted(unknown))}; there is {', '.join(METHODS)}")
    source, folder = Store.open(store, FEATURES), place(out)
    require_tables(folder, source.path)
    if taxonomy:  # a file that cannot be used is told now, not after the tuning
        read_taxonomy(taxonomy, [])
    methods = _possible(source, methods)
    config = preset("default", memory="resident", pair_weight=0.0)  # the others learn from labels alone
    data = read_fit_data(source, config, semantic_graph)
    if not len(data.split(config).val):
        raise FitError(
            f"{source.path}: no rows to tune on; give some rows the split val, or every class at least four of train"
        )
    tqdm.write(f"semantic graph: {data.graph_source}", file=sys.stderr)
    test = source.load(("test",))
    test = test.take(test.label != "")
    if not len(test):
        raise StoreError(f"{source.path}: no row of split test has a label; compare measures on them")
    ancestors = read_taxonomy(taxonomy, sorted(set(test.label))) if taxonomy else None  # lacks are told now too
    results: Result = {}
    with tqdm(total=len(methods) * (trials + seeds), desc="compare", unit="fit", disable=None) as bar:
        for method in methods:
            run = _Posterior if method == POSTERIOR else _Towers
            results[method] = run(method, source, data, changes or {}).measure(test, seeds, trials, ancestors, bar)
            write_tables(results, folder)
    return results


def _possible(store: Store, methods: tuple[str, ...] | None) -> tuple[str, ...]:
    """The methods that a store has what they need for; those that were asked for by name must be among them."""
    lacks: dict[str, str] = {}
    if store.read_classes() is None:
        lacks |= {name: "vectors of the class names" for name in METHODS if traits_of(name).onto_class_names}
    if not (store.info.image and store.info.text):
        lacks |= {name: "images and texts" for name in METHODS if traits_of(name).across_modalities}
    for name in methods or ():
        if name in lacks:
            raise FitError(f"objective {name} needs {lacks[name]}, {store.path} does not have them; leave it out")
    if methods is None and lacks:
        left_out = ", ".join(f"{name} (needs {what})" for name, what in lacks.items())
        tqdm.write(f"left out: {left_out}", file=sys.stderr)
    return methods or tuple(name for name in METHODS if name not in lacks)


def traits_of(method: str) -> Traits:
    """The traits of the objective that a method trains; the posterior's are those of plain HUSE."""
    return OBJECTIVES.get(method, OBJECTIVES["huse"])


class _Towers:
    """Towers under one objective."""

    def __init__(self, method: str, store: Store, data: FitData, changes: Mapping[str, Any]) -> None:
        self.method = method
        self.data = data
        self.base = base_config(method, store, changes)

    def measure(self, test: Rows, seeds: int, trials: int, ancestors: list[list[str]] | None, bar: Any) -> Result:
        """Tunes on validation rows, then measures on test rows."""
        scores = []
        for trial in range(trials):
            config = self.draw(trial)
            scores.append((self.validate(config), -trial, config))
            bar.update()
        score, _, best = max(scores, key=lambda entry: entry[:2])
        runs = []
        for seed in range(seeds):
            config = self.with_seed(best, seed)
            outputs, data, weight = self.test(config, test)
            run = metrics_of(outputs, data, test.label, weight)
            run["hierarchical"] = hierarchical_metrics_of(outputs, data, test.label, ancestors)
            runs.append(blanked(self.method, run))
            bar.update()
        return {"config": self.describe(best), "val_score": score, "metrics": summarize(runs)}

    def draw(self, trial: int) -> Any:
        """The configuration of a trial; the first is the default one."""
        if not trial:
            return self.base
        rng = np.random.default_rng([trial, METHODS.index(self.method)])
        space = {"dropout": (0.3, 0.5), "input_dropout": (0.0, 0.2), **SPACES[self.method]}
        drawn = {name: values[rng.integers(len(values))] for name, values in space.items()}
        return replace(self.base, learning_rate=float(10 ** rng.uniform(-3.5, -2.5)), **drawn)

    def validate(self, config: Any) -> float:
        """The validation score of a configuration."""
        metrics = search_best(self.data.split(config), config).metrics
        return validation_score(metrics, config.objective)

    def test(self, config: Any, test: Rows) -> tuple[Outputs, TrainingRows, float]:
        """The outputs for the test rows of a configuration trained on everything else."""
        task = self.data.split(config)
        best = fit_towers(task, config)
        outputs = make_forward(best.network)(features_of(test, best.network))
        return outputs, TrainingRows.of(test, task.classes), best.fusion_weight

    def with_seed(self, config: Any, seed: int) -> Any:
        """The same configuration from another seed."""
        return replace(config, seed=seed)

    def describe(self, config: Any) -> dict[str, Any]:
        """The configuration, JSON-ready."""
        values: dict[str, Any] = config.to_dict()
        return values


class _Posterior(_Towers):
    """Two logistic regressions; a configuration is the regularization C and the seed of the held out rows."""

    def draw(self, trial: int) -> Any:
        """C from strong to weak regularization, the middle first."""
        return ((0.01, 0.003, 0.03, 0.001, 0.1, 0.0003, 0.3, 1.0)[trial % 8], 0)

    def validate(self, config: Any) -> float:
        """The validation score of a configuration."""
        task = self._task(config)
        outputs = self._fitted(task, task.train, config)(task.val)
        return validation_score(metrics_of(outputs, task.val, task.val_labels, 0.5, instances=False))

    def test(self, config: Any, test: Rows) -> tuple[Outputs, TrainingRows, float]:
        """The outputs for the test rows of classifiers trained on everything else."""
        task = self._task(config)
        weight = 0.5
        if len(task.val):
            weight = best_fusion_weight(self._fitted(task, task.train, config)(task.val), task.val)
        rows = task.train if task.everything is None else task.everything
        return self._fitted(task, rows, config)(test), TrainingRows.of(test, task.classes), weight

    def with_seed(self, config: Any, seed: int) -> Any:
        """The same configuration from another seed."""
        return (config[0], seed)

    def describe(self, config: Any) -> dict[str, Any]:
        """The configuration, JSON-ready."""
        return {"C": config[0]}

    def _task(self, config: Any) -> Task:
        return self.data.split(replace(self.base, seed=config[1], class_names=False))

    def _fitted(self, task: Task, rows: NDArray[np.integer], config: Any) -> Callable[[Rows | TrainingRows], Outputs]:
        return fit_posterior(task.data.take(rows), len(task.classes), config[0])


def base_config(method: str, store: Store, changes: Mapping[str, Any]) -> FitConfig:
    """The default configuration of a method: all share towers, optimizer and budget, and differ in their losses."""
    own: dict[str, Any] = {}
    if method not in ("huse", POSTERIOR):
        own = {"blend": 0.0, "delta": 0.0, "objective": method if method in OBJECTIVES else "huse"}
    if method == "huse-paper":
        own["margin"] = PRESETS["paper"].margin
    stored = store.read_classes()
    if traits_of(method).onto_class_names and stored is not None:
        own["dimension"] = stored.vectors.shape[1]
    return preset("default", **{**changes, **own})


def blanked(method: str, run: Result) -> Result:
    """The metrics of a run without those that the method does not train for."""
    result = json.loads(json.dumps(run))
    if not traits_of(method).classifier:
        result["accuracy"] = dict.fromkeys(result["accuracy"])
    if not traits_of(method).one_space:
        for part in ("retrieval", "instances", "hierarchical"):
            for direction in ("image_to_text", "text_to_image"):
                if part in result:
                    result[part][direction] = dict.fromkeys(result[part][direction])
    return dict(result)


def summarize(runs: list[Result]) -> Result:
    """Mean and standard deviation over runs of every metric, by its path such as ``retrieval.image_to_text.map``."""
    flat = [_flatten(run) for run in runs]
    summary: Result = {"mean": {}, "std": {}}
    for name in flat[0]:
        values = [run[name] for run in flat]
        if None not in values:
            summary["mean"][name] = float(np.mean(values))
            summary["std"][name] = float(np.std(values))
    return summary


def _flatten(values: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(values, Mapping):
        return {path: values}
    return {k: v for key, value in values.items() for k, v in _flatten(value, f"{path}.{key}".strip(".")).items()}
