"""What a model has learned, as plots: its semantic graph against its class distances, and its history."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import cosine_distances

from huse.features.companions import class_name
from huse.features.errors import ModelError, QueryError
from huse.features.files.atomic import replacing
from huse.features.files.outputs import MARK, require_output
from huse.features.files.place import place
from huse.train.artifact.hub import model_folder
from huse.train.artifact.model_folder import TrainedModel, load_model

FORMATS = (".png", ".svg", ".pdf")

MOST_NAMED = 60
"""Classes up to which the matrices carry names."""


def class_distances(trained: TrainedModel) -> NDArray[np.float64]:
    """(K, K) cosine distances of the learned class weights, which the embeddings are drawn to."""
    kernel = next(np.asarray(w) for w in trained.network.weights if w.path.endswith("head/kernel"))
    return np.asarray(cosine_distances(kernel), np.float64)


def plot_graph(model: str | Path | TrainedModel, out: str | Path) -> float:
    """Draws the semantic graph beside the learned class distances, and one against the other: `huse plot --graph`.

    Args:
        model: a model folder, or the model.
        out: the image.

    Raises:
        QueryError: `out` is of another format than `FORMATS`.
        ModelError: the model has no classes.

    Returns:
        Their rank correlation (Spearman) over pairs of classes; NaN where all pairs of either are equal.
    """
    from scipy.stats import spearmanr

    _require_format(place(out), *([] if isinstance(model, TrainedModel) else [model]))
    trained = model if isinstance(model, TrainedModel) else load_model(model)
    if not trained.classes:
        raise ModelError(
            f"{trained.folder or 'the model'}: was trained on pairs without labels; it has no graph to draw"
        )
    learned, given = class_distances(trained), np.asarray(trained.graph, np.float64)
    pairs = np.triu_indices(len(given), 1)
    comparable = len(given) > 2 and np.ptp(given[pairs]) > 0 and np.ptp(learned[pairs]) > 0
    correlation = float(spearmanr(given[pairs], learned[pairs]).statistic) if comparable else float("nan")
    figure = _figure(16, 5.4)
    axes = figure.subplots(1, 3)
    names = [class_name(label) for label in trained.classes]
    for axis, matrix, title in zip(axes, (given, learned), ("semantic graph A", "learned distances"), strict=False):
        shown = axis.imshow(matrix, cmap="viridis")
        axis.set_title(title)
        if len(names) <= MOST_NAMED:
            axis.set_xticks(range(len(names)), names, rotation=90, fontsize=5, parse_math=False)
            axis.set_yticks(range(len(names)), names, fontsize=5, parse_math=False)
        figure.colorbar(shown, ax=axis, shrink=0.8)
    axes[2].plot(given[pairs], learned[pairs], ".", markersize=3, alpha=0.4)
    axes[2].set(xlabel="semantic distance A", ylabel="learned distance", title=f"rank correlation {correlation:.2f}")
    _save(figure, place(out))
    return correlation


def plot_history(model: str | Path, out: str | Path) -> None:
    """Draws the losses and the validation score of a model folder, epoch by epoch: `huse plot --history`.

    Raises:
        ModelError: the folder has no history.
        QueryError: `out` is of another format than `FORMATS`.
    """
    _require_format(place(out), model)
    try:
        with (model_folder(model) / "history.csv").open(encoding="utf-8", newline="") as file:
            entries = list(csv.DictReader(file))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(f"{model}: no history.csv there; name a model that huse fit made") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ModelError(f"{model}: history.csv is damaged ({error}); fit again") from error
    if not entries or not {"phase", "epoch"} <= set(entries[0]):
        raise ModelError(f"{model}: history.csv is empty; it is written by huse fit")
    figure = _figure(12, 4.6)
    left, right = figure.subplots(1, 2)
    losses = [n for n in entries[0] if n not in ("phase", "epoch") and not n.startswith("val_")]
    searched = [entry for entry in entries if entry["phase"] == "search"]
    for name in losses:
        _line(left, searched, name)
    left.set(xlabel="epoch", ylabel="weighted loss", yscale="log")
    for name in (n for n in entries[0] if n.startswith("val_")):
        _line(right, searched, name)
    right.set(xlabel="epoch", ylabel="validation")
    for axis in (left, right):
        if axis.lines:
            axis.legend(fontsize=8)
    _save(figure, place(out))


def _line(axis: Any, entries: list[dict[str, str]], name: str) -> None:
    try:
        there = [(int(e["epoch"]), float(e[name])) for e in entries if e.get(name)]
    except (TypeError, ValueError) as error:
        raise ModelError(f"history.csv is damaged ({name}: {error}); fit again") from error
    if there:
        axis.plot(*zip(*there, strict=True), label=name, linewidth=2.5 if name == "val_score" else 1.2)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _require_format(out: Path, *inputs: str | Path) -> None:
    if out.suffix.lower() not in FORMATS:
        raise QueryError(f"{out}: name a file {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    require_output(out, QueryError, *inputs)


def _save(figure: Any, out: Path) -> None:
    says = {"Software" if out.suffix.lower() == ".png" else "Creator": MARK}
    with replacing(out) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of scripts that the font lacks, one line a letter
        figure.savefig(temporary, dpi=120, format=out.suffix.lower().removeprefix("."), metadata=says)
