"""What a network's outputs are worth: accuracy by modality, retrieval and hierarchical precision by direction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import FitError, StoreError
from huse.features.modality import MODALITIES, Pair, Side
from huse.features.rows import Rows
from huse.train.classes.taxonomy import ancestors_of_labels, near_classes
from huse.train.data.batches import TrainingRows
from huse.train.evaluation.metrics import (
    accuracy,
    hierarchical_precision,
    hierarchical_values,
    instance_metrics,
    retrieval_metrics,
    retrieval_values,
)
from huse.train.network.forward import EMBEDDING, LOGITS, Mask, Output, Outputs, class_probabilities
from huse.train.objectives.registry import OBJECTIVES

DIRECTIONS = tuple(product(MODALITIES, repeat=2))
ACROSS = tuple((query, gallery) for query, gallery in DIRECTIONS if query != gallery)
HP_KS = (2, 5, 10)


def require_vectors(rows: Rows, store: Path, split: str) -> None:
    """Refuses rows that nothing can be measured by.

    Raises:
        StoreError: none of them has a vector.
    """
    if not (rows.image.present | rows.text.present).any():
        raise StoreError(f"{store}: no row of split {split} has a vector; huse store failures tells why")


def metrics_of(
    outputs: Outputs, data: TrainingRows, labels: NDArray[np.object_], fusion_weight: float, instances: bool = True
) -> dict[str, Any]:
    """Accuracy and retrieval of the outputs of a network on some rows; what cannot be said is None.

    ``accuracy`` and ``retrieval`` are of the rows that have a label, ``instances`` of those with both modalities.

    Args:
        outputs: of the network for n rows.
        data: these rows.
        labels: (n,) their label paths, also of classes that the network does not know; empty for none.
        fusion_weight: share of the image in the fused class.
        instances: whether to measure by instance too; without, ``instances`` is empty.

    Raises:
        FitError: an output is not finite.
    """
    broken = _not_finite(outputs)
    if broken:
        raise FitError(
            f"the towers give values that are not finite ({', '.join(broken)}); "
            "fit again with a lower learning_rate (--learning-rate), and look at the features with huse store verify"
        )
    found = _instances(outputs, data) if instances else {}
    outputs, data, labels = _labeled(outputs, data, labels)
    accuracies, retrieval = _accuracies(outputs, data, fusion_weight), _retrieval(outputs, data, labels)
    return {
        "accuracy": {name: _known(value) for name, value in accuracies.items()},
        "retrieval": {way: {name: _known(v) for name, v in values.items()} for way, values in retrieval.items()},
        "instances": {way: {name: _known(v) for name, v in values.items()} for way, values in found.items()},
    }


def hierarchical_metrics_of(
    outputs: Outputs, data: TrainingRows, labels: NDArray[np.object_], ancestors: list[list[str]] | None = None
) -> dict[str, dict[str, float | None]]:
    """HP@2, HP@5 and HP@10 (paper 4.4) in four directions; None where every class would be right.

    Args:
        outputs: of the network for n rows.
        data: these rows.
        labels: (n,) their label paths; rows without one are left out.
        ancestors: of each of the different labels, sorted, see `read_taxonomy`; by default label paths spell them.
    """
    outputs, data, labels = _labeled(outputs, data, labels)
    names, classes = np.unique(labels.astype(str), return_inverse=True)
    near = near_classes(ancestors or ancestors_of_labels(names.tolist()), HP_KS)
    return {
        way: {k: _known(v) for k, v in hierarchical_precision(a, b, classes[q], classes[g], near, *own).items()}
        for way, a, b, q, g, own in _directions(outputs, data)
    }


def values_by_query(
    outputs: Outputs,
    data: TrainingRows,
    labels: NDArray[np.object_],
    fusion_weight: float,
    ancestors: list[list[str]] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """What each labeled row adds to the figures across modalities and to fused accuracy; nan where it does not count.

    Arguments as for `metrics_of` and `hierarchical_metrics_of`. Two models asked on the same rows give arrays that
    belong together, whose differences can be resampled.

    Returns:
        By path, such as ``retrieval.image_to_text.map``, (q,) values.
    """
    outputs, data, labels = _labeled(outputs, data, labels)
    names, classes = np.unique(labels.astype(str), return_inverse=True)
    near = near_classes(ancestors or ancestors_of_labels(names.tolist()), HP_KS)
    fused = class_probabilities(outputs, data.present, fusion_weight)["fused"]
    known = data.present.image | data.present.text
    result = {"accuracy.fused": np.asarray(fused[known].argmax(axis=1) == data.labels[known], np.float64)}
    for way, a, b, q, g, own in _directions(outputs, data):
        if own[0] is None:
            asked = retrieval_values(a, b, classes[q], classes[g])
            ranked = hierarchical_values(a, b, classes[q], classes[g], near)
            result |= {f"retrieval.{way}.{name}": values for name, values in asked.items()}
            result |= {f"hierarchical.{way}.{name}": values for name, values in ranked.items()}
    return result


def without_accuracies(metrics: dict[str, Any]) -> dict[str, Any]:
    """The metrics of an objective that trains no classifier, whose accuracies say nothing; none of none."""
    return {**metrics, "accuracy": dict.fromkeys(metrics["accuracy"])} if metrics else {}


def best_fusion_weight(outputs: Outputs, data: TrainingRows) -> float:
    """The weight of the image that gives the most accurate fused class on these rows; 0.5 when nothing tells.

    Among equally accurate weights the one nearest to 0.5 is taken.
    """
    both = data.present.image & data.present.text & (data.labels >= 0)
    if outputs.image is None or outputs.text is None or not both.any():
        return 0.5
    image, text = (side.part(both).probabilities() for side in (outputs.image, outputs.text))
    weights = np.linspace(0, 1, 21)
    scores = [accuracy(w * image + (1 - w) * text, data.labels[both]) for w in weights]
    order = sorted(range(len(weights)), key=lambda i: (-scores[i], abs(weights[i] - 0.5)))
    return float(weights[order[0]])


def validation_score(metrics: dict[str, Any], objective: str = "huse") -> float:
    """What early stopping maximizes.

    Mean cross-modal mAP; or the mean reciprocal rank of the rows' own other halves, when none has a label; or mean
    accuracy, when a modality is missing or the objective does not tie them; or mean mAP within the modalities, when the
    objective trains no classifier either; nan where nothing tells.
    """
    cross = [metrics["retrieval"][way]["map"] for way in ("image_to_text", "text_to_image")]
    if None not in cross and OBJECTIVES[objective].one_space:
        return float(np.mean(cross))
    if all(value is None for value in metrics["accuracy"].values()) and metrics["instances"]:
        return _mean_of_known(values["mrr"] for values in metrics["instances"].values())
    if not OBJECTIVES[objective].classifier:
        within = _mean_of_known(metrics["retrieval"][way]["map"] for way in ("image_to_image", "text_to_text"))
        if not math.isnan(within):
            return within
    return _mean_of_known(metrics["accuracy"].values())


def _mean_of_known(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else math.nan


def _labeled(
    outputs: Outputs, data: TrainingRows, labels: NDArray[np.object_]
) -> tuple[Outputs, TrainingRows, NDArray[np.object_]]:
    """The rows that have a label, and what a network made of them."""
    has = labels != ""
    if has.all():
        return outputs, data, labels
    return outputs.map(lambda output: None if output is None else output.part(has)), data.take(has), labels[has]


def _accuracies(outputs: Outputs, data: TrainingRows, fusion_weight: float) -> dict[str, float]:
    probabilities = class_probabilities(outputs, data.present, fusion_weight)
    return {
        kind: accuracy(probabilities[kind][has], data.labels[has]) if kind in probabilities else math.nan
        for kind, has in known_by(data.present).items()
    }


def known_by(present: Pair[Mask]) -> dict[str, Mask]:
    """By kind of prediction, (n,) which rows have what it takes."""
    return {**dict(present.items()), "fused": present.image | present.text}


def _not_finite(outputs: Outputs) -> list[str]:
    """The names of the outputs with values that are not finite."""
    values: dict[str, NDArray[np.float32]] = {}
    for modality, output in outputs.given().items():
        values |= {EMBEDDING.of(modality): output.embedding, LOGITS.of(modality): output.logits}
    return [name for name, array in values.items() if not np.isfinite(array).all()]


def _retrieval(outputs: Outputs, data: TrainingRows, labels: NDArray[np.object_]) -> dict[str, dict[str, float]]:
    """Figures by class in four directions; nan where all rows are of one class, so that nothing could be wrong."""
    names, classes = np.unique(labels.astype(str), return_inverse=True)
    found = {
        way: retrieval_metrics(a, b, classes[q], classes[g], *own)
        for way, a, b, q, g, own in _directions(outputs, data)
    }
    return found if len(names) > 1 else {way: dict.fromkeys(values, math.nan) for way, values in found.items()}


def _instances(outputs: Outputs, data: TrainingRows) -> dict[str, dict[str, float]]:
    """R@K and mean reciprocal rank of the other halves of rows, across the modalities.

    Images and texts that several rows share stand once in a gallery, and are asked for once: all that the rows have
    beside them belongs to them. In a gallery of one nothing could be wrong: nan.
    """
    found = Pair.by_name(lambda m: _different(outputs.of(m), data.present.of(m), data.content.of(m)))
    both = np.flatnonzero((found.image[1] >= 0) & (found.text[1] >= 0))
    result = {}
    for query, gallery in ACROSS:
        (vectors, own), (others, their) = found.of(query), found.of(gallery)
        pairs = np.unique(np.stack([own[both], their[both]], axis=1), axis=0)
        values = instance_metrics(vectors, others, pairs)
        result[f"{query}_to_{gallery}"] = values if len(others) > 1 else dict.fromkeys(values, math.nan)
    return result


def _different(
    output: Output | None, present: Mask, content: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """The vectors of the different images, or texts, and (n,) which of them each row has; -1 for none."""
    number = np.full(len(present), -1)
    if output is None:
        return np.zeros((0, 1), np.float32), number
    _, first, number[present] = np.unique(content[present], return_index=True, return_inverse=True)
    return output.embedding[present][first], number


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
