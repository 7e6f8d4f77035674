"""The metrics of a model on rows of a store: accuracy, and retrieval by class and by instance; and its report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import FitError, StoreError
from huse.features.info import FEATURES
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel, check_store, load_model
from huse.train.classes.taxonomy import read_taxonomy
from huse.train.classes.unknown_classes import unknown_classes
from huse.train.cross_validation import cross_validated
from huse.train.data.batches import TrainingRows
from huse.train.data.groups import rows_shared_with_training
from huse.train.evaluation.doubts import Doubts, doubts_of
from huse.train.evaluation.measure import (
    hierarchical_metrics_of,
    known_by,
    metrics_of,
    require_vectors,
    without_accuracies,
)
from huse.train.evaluation.report import Thumbnail, no_thumbnail, require_report, write_report
from huse.train.network.forward import Outputs, class_probabilities, features_of


def evaluate_model(
    model: str | Path | TrainedModel,
    store: str | Path,
    split: str = "test",
    taxonomy: Path | None = None,
    report: Path | None = None,
    folds: int = 0,
    thumbnail: Thumbnail = no_thumbnail,
) -> dict[str, Any]:
    """Measures a model on rows of a store: by class those with a label, by instance those with image and text.

    This is `huse evaluate`.

    Args:
        model: a model folder, or the model.
        store: features of the model's own encoders.
        split: ``train``, ``val``, ``test``, or ``all``.
        taxonomy: file with the tree of classes for HP@K; the label paths spell it by default.
        report: folder for an HTML page with a table of classes, what is confused with what, and the rows whose given
            label is doubted, which stand in doubted.csv too; see `doubted`.
        folds: judge the labels of rows that were trained on too, by as many fits; see `cross_validated`. 0 leaves
            them out.
        thumbnail: makes the `data:` address of a small image for the page, given where a row's image lies; empty for
            none.

    Returns:
        ``rows``, ``labeled`` (how many of them have a label), ``split``, ``unknown_classes`` (each with ``label``,
        ``rows`` and the ``similar`` class of the model), ``shared_with_training`` (rows whose image or text a training
        row of the store has too), ``accuracy`` by ``image``, ``text`` and ``fused``, ``retrieval`` by direction, each
        with ``r_at_1``, ``r_at_5``, ``r_at_10`` and ``map``, ``instances`` by direction across the modalities, each
        with ``r_at_1``, ``r_at_5``, ``r_at_10`` and ``mrr`` of a row's own other half, and ``hierarchical`` with
        ``hp_at_2``, ``5`` and ``10``.
        A metric that these rows do not allow is None.

    Raises:
        FingerprintError: the store was made by other encoders.
        FitError: the model gives vectors that are not finite, or `taxonomy` cannot be used.
        StoreError: no row of this split has a vector, and a label or both modalities.
        FitError: the report would be written over something that is not of huse, no row of it has a label, the model
            tells no classes, `folds` is 1, or the store is not the one that the model was trained on.
    """
    if report is not None:
        require_report(report, store, *([] if isinstance(model, TrainedModel) else [model]))
    if taxonomy is not None:
        read_taxonomy(taxonomy, [])
    trained = model if isinstance(model, TrainedModel) else load_model(model)
    source = Store.open(store, FEATURES)
    check_store(trained, source)
    rows = _measured(source, split)
    named = rows.label != ""
    labels = rows.label[named]
    if report is not None:
        _require_classes(trained, len(labels), f"{source.path}: no row of split {split}")
    # one that lacks a class is told before the network runs
    ancestors = None if taxonomy is None else read_taxonomy(taxonomy, sorted(set(labels)))
    data = TrainingRows.of(rows, trained.classes)
    outputs = trained.forward(features_of(rows, trained.network))
    metrics = metrics_of(outputs, data, rows.label, trained.fusion_weight)
    result = {
        "rows": len(rows),
        "labeled": len(labels),
        "split": split,
        "unknown_classes": [asdict(entry) for entry in unknown_classes(labels, trained.classes) if trained.classes],
        "shared_with_training": rows_shared_with_training(source, split) if split in ("val", "test") else None,
        **(metrics if trained.classifies else without_accuracies(metrics)),
        "hierarchical": hierarchical_metrics_of(outputs, data, rows.label, ancestors),
    }
    if report is not None:
        predicted = {kind: found[named] for kind, found in predictions(outputs, data, trained).items()}
        doubts = _doubts(source, trained, rows, outputs, data, folds)
        write_report(report, result, labels, predicted, doubts, thumbnail)
    return result


def _measured(store: Store, split: str) -> Rows:
    """The rows of a split that have a label, or both modalities."""
    rows = store.load(() if split == "all" else (split,))
    rows = rows.take((rows.label != "") | (rows.image.present & rows.text.present))
    if not len(rows):
        raise StoreError(
            f"{store.path}: no row of split {split} has a label, or both image and text, to be measured by"
        )
    require_vectors(rows, store.path, split)
    return rows


def _require_classes(trained: TrainedModel, labeled: int, none: str) -> None:
    """Refuses a report where there is nothing to report by class."""
    if not trained.classes:
        raise FitError("the model was trained without labels and predicts no class; leave the report out (--report)")
    if not trained.classifies:
        raise FitError(
            f"the model's objective {trained.config.objective} trains no classifier, and a report is of classes told; "
            "leave it out (--report)"
        )
    if not labeled:
        raise FitError(f"{none} has a label; a report is by class, leave it out (--report)")


def _doubts(
    store: Store, trained: TrainedModel, rows: Rows, outputs: Outputs, data: TrainingRows, folds: int
) -> Doubts:
    """The doubted labels: by the model where it was not trained on a row, else by cross-validation, if at all."""
    probabilities = class_probabilities(outputs, data.present, trained.fusion_weight)["fused"]
    named = (data.labels >= 0) & probabilities.any(axis=1)
    trained_on = named & np.isin(rows.split.astype(str), ("", "train"))
    judged = named & ~trained_on
    held_out = cross_validated(store, trained, folds) if folds and trained_on.any() else {}
    for i in np.flatnonzero(trained_on):
        if rows.key[i] in held_out:
            probabilities[i], judged[i] = held_out[rows.key[i]], True
    return doubts_of(rows, trained.classes, probabilities, judged, 0 if folds else int(trained_on.sum()))


def predictions(outputs: Outputs, data: TrainingRows, trained: TrainedModel) -> dict[str, NDArray[np.object_]]:
    """Predicted label paths (n,) by ``image``, ``text`` and ``fused``; empty where a row lacks the modality."""
    kinds, known = class_probabilities(outputs, data.present, trained.fusion_weight), known_by(data.present)
    classes = np.array(trained.classes, dtype=object)
    return {kind: np.where(known[kind], classes[scores.argmax(axis=1)], "") for kind, scores in kinds.items()}
