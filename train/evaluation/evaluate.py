"""The paper's figures of a model on labeled rows: accuracy, and retrieval in four directions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import FitError, StoreError
from huse.features.info import FEATURES
from huse.features.modality import MODALITIES, Pair, Side
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel, check_store, load_model
from huse.train.classes.taxonomy import ancestors_of_labels, near_classes, read_taxonomy
from huse.train.classes.unknown_classes import UnknownClass, unknown_classes, unknown_lines
from huse.train.data.batches import TrainingRows
from huse.train.data.groups import rows_shared_with_training
from huse.train.evaluation.metrics import accuracy, hierarchical_precision, retrieval_metrics
from huse.train.network.forward import (
    EMBEDDING,
    LOGITS,
    Mask,
    Output,
    Outputs,
    class_probabilities,
    features_of,
    softmax,
)
from huse.train.objectives.registry import OBJECTIVES

DIRECTIONS = tuple(product(MODALITIES, repeat=2))
HP_KS = (2, 5, 10)


def evaluate_model(
    model: str | Path | TrainedModel,
    store: str | Path,
    split: str = "test",
    taxonomy: Path | None = None,
    report: Path | None = None,
) -> dict[str, Any]:
    """Measures a model on the labeled rows of a store: `huse evaluate`.

    Args:
        model: a model folder, or the model.
        store: features of the model's own encoders.
        split: ``train``, ``val``, ``test``, or ``all``.
        taxonomy: file with the tree of classes for HP@K; the label paths spell it by default.
        report: folder for an HTML page with a table of classes and what is confused with what.

    Returns:
        ``rows``, ``split``, ``unknown_classes`` (each with ``label``, ``rows`` and the ``similar`` class of the model),
        ``shared_with_training`` (rows whose image or text a training row of the store has too), ``accuracy`` by
        ``image``, ``text`` and ``fused``, ``retrieval`` by direction, each with
        ``r_at_1``, ``r_at_5``, ``r_at_10`` and ``map``, and ``hierarchical`` with ``hp_at_2``, ``5`` and ``10``.
        A figure that these rows do not allow is None.

    Raises:
        FingerprintError: the store was made by other encoders.
        FitError: the model gives vectors that are not finite, or `taxonomy` cannot be used.
        StoreError: no labeled row of this split.
        FitError: the report would be written over something that is not of huse.
    """
    if report is not None:
        from huse.train.evaluation.report import require_report

        require_report(report, store, *([] if isinstance(model, TrainedModel) else [model]))
    if taxonomy is not None:
        read_taxonomy(taxonomy, [])
    trained = model if isinstance(model, TrainedModel) else load_model(model)
    source = Store.open(store, FEATURES)
    check_store(trained, source)
    rows = source.load(() if split == "all" else (split,))
    rows = rows.take(rows.label != "")
    if not len(rows):
        raise StoreError(f"{source.path}: no row of split {split} has a label; evaluate needs them")
    if taxonomy is not None:  # one that lacks a class is told before the network runs
        read_taxonomy(taxonomy, sorted(set(rows.label)))
    data = TrainingRows.of(rows, trained.classes)
    outputs = trained.forward(features_of(rows, trained.network))
    result = {
        "rows": len(rows),
        "split": split,
        "unknown_classes": [asdict(entry) for entry in unknown_classes(rows.label, trained.classes)],
        "shared_with_training": rows_shared_with_training(source, split) if split in ("val", "test") else None,
        **figures(outputs, data, rows.label, trained.fusion_weight),
        "hierarchical": hierarchical_figures(outputs, data, rows.label, taxonomy),
    }
    if report is not None:
        from huse.train.evaluation.report import write_report

        write_report(report, result, rows.label, predictions(outputs, data, trained))
    return result


def predictions(outputs: Outputs, data: TrainingRows, trained: TrainedModel) -> dict[str, NDArray[np.object_]]:
    """Predicted label paths (n,) by ``image``, ``text`` and ``fused``; empty where a row lacks the modality."""
    kinds, known = class_probabilities(outputs, data.present, trained.fusion_weight), _known_by(data.present)
    classes = np.array(trained.classes, dtype=object)
    return {kind: np.where(known[kind], classes[scores.argmax(axis=1)], "") for kind, scores in kinds.items()}


def figures(outputs: Outputs, data: TrainingRows, labels: NDArray[np.object_], fusion_weight: float) -> dict[str, Any]:
    """Accuracy and retrieval figures of the outputs of a network on some rows; what cannot be said is None.

    Args:
        outputs: of the network for n rows.
        data: these rows.
        labels: (n,) their label paths, also of classes that the network does not know.
        fusion_weight: share of the image in the fused class.

    Raises:
        FitError: an output is not finite.
    """
    broken = _not_finite(outputs)
    if broken:
        raise FitError(
            f"the towers give values that are not finite ({', '.join(broken)}); "
            "fit again with a lower learning_rate (--learning-rate), and look at the features with huse store verify"
        )
    accuracies, retrieval = _accuracies(outputs, data, fusion_weight), _retrieval(outputs, data, labels)
    return {
        "accuracy": {name: _known(value) for name, value in accuracies.items()},
        "retrieval": {way: {name: _known(v) for name, v in values.items()} for way, values in retrieval.items()},
    }


def hierarchical_figures(
    outputs: Outputs, data: TrainingRows, labels: NDArray[np.object_], taxonomy: Path | None = None
) -> dict[str, dict[str, float | None]]:
    """HP@2, HP@5 and HP@10 (paper 4.4) in four directions; None where every class would be right.

    Args:
        outputs: of the network for n rows.
        data: these rows.
        labels: (n,) their label paths.
        taxonomy: file that holds the tree of classes; by default the label paths spell it.

    Raises:
        FitError: the file cannot be used.
    """
    names, classes = np.unique(labels.astype(str), return_inverse=True)
    labels_used = sorted(names.tolist())
    ancestors = read_taxonomy(taxonomy, labels_used) if taxonomy else ancestors_of_labels(labels_used)
    near = near_classes(ancestors, HP_KS)
    return {
        way: {k: _known(v) for k, v in hierarchical_precision(a, b, classes[q], classes[g], near, *own).items()}
        for way, a, b, q, g, own in _directions(outputs, data)
    }


def figures_table(result: dict[str, Any]) -> str:
    """Accuracy and retrieval figures as text."""
    accuracy = "   ".join(f"{name} {_figure(value)}" for name, value in result["accuracy"].items())
    lines = [f"{result['rows']} rows of split {result['split']}", *_remarks(result), f"accuracy   {accuracy}", ""]
    heads, parts = ["R@1", "R@5", "R@10", "mAP"], [result["retrieval"]]
    if "hierarchical" in result:
        heads, parts = [*heads, *(f"HP@{k}" for k in HP_KS)], [*parts, result["hierarchical"]]
    lines.append(f"{'retrieval':<16}" + "".join(f"{head:>8}" for head in heads))
    for direction in result["retrieval"]:
        cells = "".join(f"{_figure(value):>8}" for part in parts for value in part[direction].values())
        lines.append(f"{direction.replace('_', ' '):<16}{cells}")
    return "\n".join(lines)


def _remarks(result: dict[str, Any]) -> list[str]:
    """What makes the figures look worse or better than they are."""
    lines = unknown_lines([UnknownClass(**entry) for entry in result.get("unknown_classes", ())])
    if result.get("shared_with_training"):
        shared = f"{result['shared_with_training']} of {result['rows']} rows"
        lines.append(f"{shared} share their image or text with a training row; huse store leaks lists them")
    return lines


def best_fusion_weight(outputs: Outputs, data: TrainingRows) -> float:
    """The weight of the image that gives the most accurate fused class on these rows; 0.5 when nothing tells.

    Among equally accurate weights the one nearest to 0.5 is taken.
    """
    both = data.present.image & data.present.text
    if outputs.image is None or outputs.text is None or not both.any():
        return 0.5
    image, text = softmax(outputs.image.logits[both]), softmax(outputs.text.logits[both])
    weights = np.linspace(0, 1, 21)
    scores = [accuracy(w * image + (1 - w) * text, data.labels[both]) for w in weights]
    order = sorted(range(len(weights)), key=lambda i: (-scores[i], abs(weights[i] - 0.5)))
    return float(weights[order[0]])


def validation_score(metrics: dict[str, Any], objective: str = "huse") -> float:
    """What early stopping maximizes.

    Mean cross-modal mAP; or mean accuracy, when a modality is missing or the objective does not tie them; or mean mAP
    within the modalities, when the objective trains no classifier either.
    """
    cross = [metrics["retrieval"][way]["map"] for way in ("image_to_text", "text_to_image")]
    if None not in cross and OBJECTIVES[objective].one_space:
        return float(np.mean(cross))
    if not OBJECTIVES[objective].classifier:
        within = [metrics["retrieval"][way]["map"] for way in ("image_to_image", "text_to_text")]
        if any(value is not None for value in within):
            return float(np.mean([value for value in within if value is not None]))
    return float(np.mean([value for value in metrics["accuracy"].values() if value is not None]))


def _accuracies(outputs: Outputs, data: TrainingRows, fusion_weight: float) -> dict[str, float]:
    probabilities = class_probabilities(outputs, data.present, fusion_weight)
    return {
        kind: accuracy(probabilities[kind][has], data.labels[has]) if kind in probabilities else math.nan
        for kind, has in _known_by(data.present).items()
    }


def _known_by(present: Pair[Mask]) -> dict[str, Mask]:
    """By kind of prediction, (n,) which rows have what it takes."""
    return {**dict(present.items()), "fused": present.image | present.text}


def _not_finite(outputs: Outputs) -> list[str]:
    """The names of the outputs with values that are not finite."""
    values: dict[str, NDArray[np.float32]] = {}
    for modality, output in outputs.given().items():
        values |= {EMBEDDING.of(modality): output.embedding, LOGITS.of(modality): output.logits}
    return [name for name, array in values.items() if not np.isfinite(array).all()]


def _retrieval(outputs: Outputs, data: TrainingRows, labels: NDArray[np.object_]) -> dict[str, dict[str, float]]:
    classes = np.unique(labels.astype(str), return_inverse=True)[1]
    return {
        way: retrieval_metrics(a, b, classes[q], classes[g], *own)
        for way, a, b, q, g, own in _directions(outputs, data)
    }


def _directions(outputs: Outputs, data: TrainingRows) -> Iterator[tuple[str, Any, Any, Any, Any, Any]]:
    """For each direction its name, query and gallery vectors, their row masks, and their keys if of one modality."""
    keys = np.arange(len(data))
    sides = Pair.by_name(lambda modality: _side(outputs.of(modality), data.present.of(modality)))
    for query, gallery in DIRECTIONS:
        a, b = sides.of(query), sides.of(gallery)
        own = (keys[a.present], keys[b.present]) if query == gallery else (None, None)
        yield f"{query}_to_{gallery}", a.vectors[a.present], b.vectors[b.present], a.present, b.present, own


def _side(output: Output | None, present: Mask) -> Side:
    """The embeddings of a modality; of no row where the network does not know it."""
    if output is None:
        return Side.zeros(len(present), 1, np.dtype(np.float32))
    return Side(output.embedding, present)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
