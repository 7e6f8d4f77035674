from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from huse.features.modality import Pair, Side
from huse.features.store import Store
from huse.train.config import FitConfig
from huse.train.data.batches import TrainingRows
from huse.train.evaluation.evaluate import evaluate_model
from huse.train.evaluation.measure import hierarchical_metrics_of, validation_score
from huse.train.evaluation.table import metrics_table
from huse.train.fit import fit_model
from huse.train.network.forward import Output

FAST = FitConfig(dimension=16, hidden_units=32, learning_rate=0.01, epochs=1, batch_size=32, patience=0, refit=False)


def test_classes_that_the_model_does_not_know_and_shared_rows_are_named(tmp_path: Path, small_store: Store) -> None:
    fit_model(small_store.path, tmp_path / "m", FAST)
    rows = small_store.read(0)
    test = np.flatnonzero(rows.split == "test")
    rows.label[test[:3]] = ["Things/ CLASS 1", "new", "new"]
    rows.text.digest[test[0]] = rows.text.digest[0]
    small_store.write(0, rows)
    result = evaluate_model(tmp_path / "m", small_store.path)
    assert result["unknown_classes"] == [
        {"label": "Things/ CLASS 1", "rows": 1, "similar": "things/class 1"},
        {"label": "new", "rows": 2, "similar": None},
    ]
    assert result["shared_with_training"] == 1
    table = metrics_table(result)
    assert "'Things/ CLASS 1': 1 row; the model has 'things/class 1', spell both alike" in table
    assert "1 of 12 rows share their image or text with a training row" in table
    for number in small_store.shard_numbers():
        rows = small_store.read(number)
        rows.image.digest[:] = rows.text.digest[:] = 0
        small_store.write(number, rows)
    assert evaluate_model(tmp_path / "m", small_store.path)["shared_with_training"] is None


@pytest.mark.parametrize("labels", [["a", "b"], ["x/a", "x/b"]])
def test_hierarchical_figures_are_none_where_all_classes_are_right(labels: list[str]) -> None:
    vectors = np.eye(4, dtype=np.float32)
    side, output = Side(vectors, np.ones(4, bool)), Output(vectors, vectors)
    data = TrainingRows(image=side, text=side, labels=np.zeros(4, np.int32))
    figures = hierarchical_metrics_of(Pair(image=output, text=output), data, np.array([*labels, *labels], object))
    assert set(figures["image_to_text"].values()) == {None}


def test_objectives_without_a_classifier_are_judged_within_the_modality() -> None:
    ways = ("image_to_text", "text_to_image", "image_to_image")
    retrieval = {**{way: {"map": None} for way in ways}, "text_to_text": {"map": 0.4}}
    metrics = {"retrieval": retrieval, "accuracy": {"image": None, "text": 0.9, "fused": 0.9}}
    assert validation_score(metrics, "triplet") == pytest.approx(0.4)
    assert validation_score(metrics, "huse") == pytest.approx(0.9)


@pytest.mark.parametrize("labels", [["a", "b"], ["a//b", " "], ["x/y", "x"], ["\u00e9\U0001f600", 'q"uo,te']])
def test_few_rows_and_odd_names_train_and_are_measured(tmp_path: Path, small_store: Store, labels: list[str]) -> None:
    """Two classes of one training row each, and a third that stands among the test rows alone."""
    rows = small_store.read(0).take(np.arange(4))
    rows.label[:] = [*labels, labels[0], "elsewhere"]
    rows.split[:] = ["train", "train", "test", "test"]
    store = Store.create(tmp_path / "few", small_store.info)
    store.write_all([rows])
    summary = fit_model(store.path, tmp_path / "m", FAST)
    assert (summary.classes, summary.train_rows, summary.val_rows) == (2, 2, 0)
    result = evaluate_model(tmp_path / "m", store.path)
    assert [entry["label"] for entry in result["unknown_classes"]] == ["elsewhere"]
