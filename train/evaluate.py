"""The paper's figures of a model on labeled rows: accuracy, and retrieval in four directions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import StoreError
from huse.features.store import FEATURES, Store
from huse.train.batches import TrainingRows
from huse.train.forward import Arrays, features_of, fuse, softmax
from huse.train.metrics import accuracy, retrieval_metrics
from huse.train.model_folder import TrainedModel, check_store, load_model

DIRECTIONS = (("image", "image"), ("image", "text"), ("text", "image"), ("text", "text"))


def evaluate_model(model: str | Path | TrainedModel, store: str | Path, split: str = "test") -> dict[str, Any]:
    """Measures a model on the labeled rows of a store: `huse evaluate`.

    Args:
        model: a model folder, or the model.
        store: features of the model's own encoders.
        split: ``train``, ``val``, ``test``, or ``all``.

    Returns:
        ``rows``, ``split``, ``accuracy`` by ``image``, ``text`` and ``fused``, and ``retrieval`` by direction, each
        with ``r_at_1``, ``r_at_5``, ``r_at_10`` and ``map``. A figure that these rows do not allow is None.

    Raises:
        FingerprintError: the store was made by other encoders.
        StoreError: no labeled row of this split.
    """
    trained = model if isinstance(model, TrainedModel) else load_model(model)
    source = Store.open(store, FEATURES)
    check_store(trained, source)
    rows = source.load(() if split == "all" else (split,))
    rows = rows.take(rows.label != "")
    if not len(rows):
        raise StoreError(f"{source.path}: no row of split {split} has a label; evaluate needs them")
    data = TrainingRows.of(rows, trained.classes)
    outputs = trained.forward(features_of(rows, trained.network))
    return {"rows": len(rows), "split": split, **figures(outputs, data, rows.label, trained.fusion_weight)}


def figures(outputs: Arrays, data: TrainingRows, labels: NDArray[np.object_], fusion_weight: float) -> dict[str, Any]:
    """Accuracy and retrieval figures of the outputs of a network on some rows; what cannot be said is None.

    Args:
        outputs: of the network for n rows.
        data: these rows.
        labels: (n,) their label paths, also of classes that the network does not know.
        fusion_weight: share of the picture in the fused class.
    """
    accuracies, retrieval = _accuracies(outputs, data, fusion_weight), _retrieval(outputs, data, labels)
    return {
        "accuracy": {name: _known(value) for name, value in accuracies.items()},
        "retrieval": {way: {name: _known(v) for name, v in values.items()} for way, values in retrieval.items()},
    }


def figures_table(result: dict[str, Any]) -> str:
    """Accuracy and retrieval figures as text."""
    accuracy = "   ".join(f"{name} {_figure(value)}" for name, value in result["accuracy"].items())
    lines = [f"{result['rows']} rows of split {result['split']}", f"accuracy   {accuracy}", ""]
    lines.append(f"{'retrieval':<16}{'R@1':>8}{'R@5':>8}{'R@10':>8}{'mAP':>8}")
    for direction, values in result["retrieval"].items():
        cells = "".join(f"{_figure(value):>8}" for value in values.values())
        lines.append(f"{direction.replace('_', ' '):<16}{cells}")
    return "\n".join(lines)


def best_fusion_weight(outputs: Arrays, data: TrainingRows) -> float:
    """The weight of the picture that gives the most accurate fused class on these rows; 0.5 when nothing tells.

    Among equally accurate weights the one nearest to 0.5 is taken.
    """
    both = data.has_image & data.has_text
    if "image_logits" not in outputs or "text_logits" not in outputs or not both.any():
        return 0.5
    image, text = (softmax(outputs[f"{m}_logits"][both]) for m in ("image", "text"))
    weights = np.linspace(0, 1, 21)
    scores = [accuracy(w * image + (1 - w) * text, data.labels[both]) for w in weights]
    order = sorted(range(len(weights)), key=lambda i: (-scores[i], abs(weights[i] - 0.5)))
    return float(weights[order[0]])


def validation_score(metrics: dict[str, Any]) -> float:
    """What early stopping maximizes: mean cross-modal mAP, or mean accuracy when a modality is missing."""
    cross = [metrics["retrieval"][direction]["map"] for direction in ("image_to_text", "text_to_image")]
    if None not in cross:
        return float(np.mean(cross))
    return float(np.mean([value for value in metrics["accuracy"].values() if value is not None]))


def _accuracies(outputs: Arrays, data: TrainingRows, fusion_weight: float) -> dict[str, float]:
    probabilities: dict[str, NDArray[np.float32] | None] = {
        m: softmax(outputs[f"{m}_logits"]) if f"{m}_logits" in outputs else None for m in ("image", "text")
    }
    result = {}
    for modality, has in (("image", data.has_image), ("text", data.has_text)):
        scores = probabilities[modality]
        result[modality] = math.nan if scores is None else accuracy(scores[has], data.labels[has])
    some = data.has_image | data.has_text
    fused = fuse(probabilities["image"], probabilities["text"], data.has_image, data.has_text, fusion_weight)
    result["fused"] = accuracy(fused[some], data.labels[some])
    return result


def _retrieval(outputs: Arrays, data: TrainingRows, labels: NDArray[np.object_]) -> dict[str, dict[str, float]]:
    result = {}
    classes = np.unique(labels.astype(str), return_inverse=True)[1]
    keys = np.arange(len(labels))
    masks = {
        m: has if f"{m}_embedding" in outputs else np.zeros_like(has)
        for m, has in (("image", data.has_image), ("text", data.has_text))
    }
    none = np.zeros((len(labels), 1), np.float32)
    for query, gallery in DIRECTIONS:
        q, g = masks[query], masks[gallery]
        own = (keys[q], keys[g]) if query == gallery else (None, None)
        a, b = (outputs.get(f"{m}_embedding", none) for m in (query, gallery))
        result[f"{query}_to_{gallery}"] = retrieval_metrics(a[q], b[g], classes[q], classes[g], *own)
    return result


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
