"""What a model has learned, as plots: its semantic graph against its class distances, and its history."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import cosine_distances

from huse.embed.search.search import require_model
from huse.features.companions import class_name
from huse.features.errors import ModelError, QueryError, StoreError
from huse.features.files.atomic import replacing
from huse.features.files.outputs import MARK, require_output
from huse.features.files.place import place
from huse.features.info import EMBEDDINGS
from huse.features.modality import MODALITIES
from huse.features.store import Store
from huse.train.artifact.hub import model_folder
from huse.train.artifact.model_folder import TrainedModel, load_model

FORMATS = (".png", ".svg", ".pdf")

MOST_NAMED = 60
"""Classes up to which the matrices carry names."""


def class_distances(trained: TrainedModel, embeddings: Store | None = None) -> NDArray[np.float64]:
    """(K, K) cosine distances of the classes as they were learned.

    They are those of the mean embeddings of a class's rows, images and texts together, and NaN of a class without rows;
    or, without embeddings, those of the class weights, where these were trained.

    Raises:
        ModelError: the class weights are fixed, and no embeddings are given.
        StoreError: fewer than two classes have rows.
    """
    if embeddings is not None:
        means = _class_means(embeddings, trained.classes)
        known = means.any(axis=1)
        if known.sum() < 2:
            raise StoreError(
                f"{embeddings.path}: has rows of fewer than two of the model's classes; embed labeled rows"
            )
        distances = np.full((len(means), len(means)), np.nan)
        distances[np.ix_(known, known)] = cosine_distances(means[known])
        return distances
    kernel = next((np.asarray(w) for w in trained.network.weights if w.path.endswith("head/kernel")), None)
    if kernel is None:
        raise ModelError(
            f"{trained.folder or 'the model'}: its class directions are fixed, distances are learned by the items "
            "alone; give the embeddings of rows with labels as embeddings (--embeddings)"
        )
    return np.asarray(cosine_distances(kernel), np.float64)


def _class_means(embeddings: Store, classes: list[str]) -> NDArray[np.float64]:
    number = {label: i for i, label in enumerate(classes)}
    dimension = max(spec.dimension for spec in embeddings.info.specs.given().values())
    sums = np.zeros((len(classes), dimension))
    for rows in embeddings:
        labels = np.array([number.get(label, -1) for label in rows.label])
        for _, its in rows.decoded().modalities.items():
            there = its.present & (labels >= 0)
            np.add.at(sums, labels[there], its.vectors[there])
    return sums


def plot_graph(model: str | Path | TrainedModel, out: str | Path, embeddings: str | Path | None = None) -> float:
    """Draws the semantic graph beside the learned class distances, and one against the other: `huse plot --graph`.

    Args:
        model: a model folder, or the model.
        out: the image.
        embeddings: of rows with labels, made by the model; models whose class weights were trained need none.

    Raises:
        QueryError: `out` is of another format than `FORMATS`.
        ModelError: the model has no classes, or fixed class directions and no embeddings are given.
        FingerprintError: the embeddings are another model's.
        StoreError: they have rows of fewer than two of its classes.

    Returns:
        Their rank correlation (Spearman) over pairs of classes; NaN where all pairs of either are equal.
    """
    from scipy.stats import spearmanr

    read = [source for source in (model, embeddings) if source is not None and not isinstance(source, TrainedModel)]
    _require_format(place(out), *read)
    trained = model if isinstance(model, TrainedModel) else load_model(model)
    if not trained.classes:
        raise ModelError(
            f"{trained.folder or 'the model'}: was trained on pairs without labels; it has no graph to draw"
        )
    learned, given = class_distances(trained, _embedded(trained, embeddings)), np.asarray(trained.graph, np.float64)
    pairs = np.nonzero(np.triu(np.isfinite(learned), 1))
    comparable = len(pairs[0]) > 1 and np.ptp(given[pairs]) > 0 and np.ptp(learned[pairs]) > 0
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


def _embedded(trained: TrainedModel, embeddings: str | Path | None) -> Store | None:
    """The embeddings, which must be the model's."""
    if embeddings is None:
        return None
    store = Store.open(embeddings, EMBEDDINGS)
    for modality in MODALITIES:
        require_model(trained, store, modality)
    return store


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
