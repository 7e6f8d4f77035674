"""`huse compare`: every method on the same features and budget, as the paper's Tables 1 to 3."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
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
from huse.train.compare.anchors.registry import ANCHORS
from huse.train.compare.contestants import Anchored, Contestant, Run, Towers
from huse.train.compare.methods import base_config, possible_methods, traits_of
from huse.train.compare.significance import paired_bootstrap
from huse.train.compare.tables import HEADLINES, Result, require_tables, write_tables
from huse.train.config import preset
from huse.train.data.batches import TrainingRows
from huse.train.data.task import FitData, read_fit_data
from huse.train.evaluation.measure import (
    hierarchical_metrics_of,
    metrics_of,
    require_vectors,
    values_by_query,
    without_accuracies,
)

OURS = "huse"
"""The method that the others are held against."""

Values = dict[str, NDArray[np.float64]]
"""By path of a figure, what each test query adds to it, the mean over seeds."""


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
        By method: ``config``, ``val_score``, ``metrics`` with ``mean`` and ``std`` of every metric, ``seconds`` a fit
        and ``parameters``; of `huse` also ``against``, what a paired bootstrap over the test queries says of it and of
        each other method.

    Raises:
        FitError: an unknown method, a store that does not allow training or tuning, or a taxonomy that cannot be used.
        StoreError: no test rows.
    """
    source, folder = Store.open(store, FEATURES), place(out)
    methods = possible_methods(source, methods)
    require_tables(folder, source.path)
    if taxonomy:  # a file that cannot be used is told now, not after the tuning
        read_taxonomy(taxonomy, [])
    data, test = _rows(source, semantic_graph, changes or {})
    ancestors = read_taxonomy(taxonomy, sorted(set(test.label))) if taxonomy else None  # lacks are told now too
    results: Result = {}
    values: dict[str, Values] = {}
    with tqdm(total=len(methods) * (trials + seeds), desc="compare", unit="fit", disable=None) as bar:
        for method in methods:
            contestant = _contestant(method, source, data, changes or {})
            results[method], values[method] = _measured(method, contestant, test, seeds, trials, ancestors, bar)
            if OURS in results:
                results[OURS]["against"] = _against(values)
            write_tables(results, folder)
    return results


def _rows(source: Store, semantic_graph: str, changes: Mapping[str, Any]) -> tuple[FitData, Rows]:
    """What all are trained and tuned on, and the labeled test rows."""
    share = {"val_fraction": changes["val_fraction"]} if "val_fraction" in changes else {}
    config = preset("default", memory="resident", pair_weight=0.0, **share)  # most learn from labels alone
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
    require_vectors(test, source.path, "test")
    return data, test


def _contestant(method: str, store: Store, data: FitData, changes: Mapping[str, Any]) -> Contestant:
    base = base_config(method, store, changes)
    return Anchored(ANCHORS[method], base, data) if method in ANCHORS else Towers(method, base, data)


def _measured(
    method: str,
    contestant: Contestant,
    test: Rows,
    seeds: int,
    trials: int,
    ancestors: list[list[str]] | None,
    bar: Any,
) -> tuple[Result, Values]:
    """Tunes on validation rows, then measures on test rows."""
    scores = []
    for trial in range(trials):
        config = contestant.draw(trial)
        scores.append((contestant.validate(config), -trial, config))
        bar.update()
    score, _, best = max(scores, key=lambda entry: entry[:2])
    runs, figures, values = [], [], []
    for seed in range(seeds):
        runs.append(contestant.run(best, seed, test))
        found, by_query = _asked(runs[-1], test, ancestors)
        figures.append(blanked(method, found))
        values.append(by_query)
        bar.update()
    summary = summarize(figures)
    result = {
        "config": contestant.describe(best),
        "val_score": score,
        "metrics": summary,
        "seconds": float(np.mean([run.seconds for run in runs])),
        "parameters": runs[-1].parameters,
    }
    return result, {
        path: np.mean([each[path] for each in values], axis=0) for path in values[0] if path in summary["mean"]
    }


def _asked(run: Run, test: Rows, ancestors: list[list[str]] | None) -> tuple[Result, Values]:
    """The figures of a run on the test rows, and what each query adds to those that are resampled."""
    asked = (run.outputs, TrainingRows.of(test, run.classes), test.label)
    hierarchical = hierarchical_metrics_of(*asked, ancestors)
    figures = {**metrics_of(*asked, run.fusion_weight), "hierarchical": hierarchical}
    return figures, values_by_query(*asked, run.fusion_weight, ancestors)


def _against(values: Mapping[str, Values]) -> Result:
    """By other method and by figure, how far `huse` lies above it, with the interval of the bootstrap."""
    result: Result = {}
    for method, theirs in values.items():
        if method == OURS:
            continue
        result[method] = {}
        for path in HEADLINES:
            if path in theirs and path in values[OURS]:
                found = paired_bootstrap(values[OURS][path], theirs[path])
                result[method][path] = {**vars(found), "verdict": found.verdict}
    return result


def blanked(method: str, run: Result) -> Result:
    """The metrics of a run without those that the method does not train for."""
    result = json.loads(json.dumps(run))
    if not traits_of(method).classifier:
        result = without_accuracies(result)
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
