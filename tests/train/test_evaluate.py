from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from huse.features.errors import FitError, StoreError
from huse.features.modality import Pair, Side
from huse.features.store import Store
from huse.train.compare.compare import compare
from huse.train.config import FitConfig
from huse.train.data.batches import TrainingRows
from huse.train.evaluate import evaluate_model
from huse.train.evaluation.measure import hierarchical_metrics_of, metrics_of, validation_score
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


def test_images_with_several_texts_stand_once_in_the_gallery_and_any_text_is_a_hit() -> None:
    """Two images with two texts each, as in Flickr30k's tables, and a text without an image."""
    image = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]], np.float32)
    text = np.array([[0, 0, 1], [1, 0, 0], [0.6, 0.8, 0], [0.8, 0.6, 0], [0, 1, 0]], np.float32)
    sides = Pair(image=Side(image, np.array([1, 1, 1, 1, 0], bool)), text=Side(text, np.ones(5, bool)))
    content = Pair(image=np.array([0, 0, 2, 2, 0]), text=np.arange(5))
    data = TrainingRows(image=sides.image, text=sides.text, labels=np.full(5, -1), content=content)
    outputs = sides.map(lambda side: Output(side.vectors, np.zeros((5, 2), np.float32)))
    metrics = metrics_of(outputs, data, np.full(5, "", object), 0.5)
    to_text, to_image = metrics["instances"]["image_to_text"], metrics["instances"]["text_to_image"]
    assert to_text["r_at_1"] == 0.5, "the text without an image is nearest to the second"
    assert to_text["mrr"] == pytest.approx((1 + 1 / 2) / 2)
    assert to_image["r_at_1"] == pytest.approx((1 / 2 + 1 + 1 + 0) / 4), "the first text is as far from both images"
    assert to_image["mrr"] == pytest.approx((0.75 + 1 + 1 + 1 / 2) / 4)
    assert set(metrics["accuracy"].values()) == {None}
    assert validation_score(metrics) == pytest.approx((to_text["mrr"] + to_image["mrr"]) / 2)


def test_rows_without_a_label_count_by_instance_alone(tmp_path: Path, small_store: Store) -> None:
    fit_model(small_store.path, tmp_path / "m", FAST)
    whole = evaluate_model(tmp_path / "m", small_store.path)
    kept = small_store.load().take(np.arange(60))
    kept.label[np.flatnonzero(kept.split == "test")[::2]] = ""
    kept.text.present[np.flatnonzero(kept.split == "test")[0]] = False
    store = Store.create(tmp_path / "partly", small_store.info)
    store.write_all([kept])
    partly = evaluate_model(tmp_path / "m", store.path)
    assert (whole["rows"], whole["labeled"]) == (12, 12)
    assert (partly["rows"], partly["labeled"]) == (11, 6)
    assert partly["instances"] != whole["instances"]
    labeled = kept.take(kept.label != "")
    store = Store.create(tmp_path / "labeled", small_store.info)
    store.write_all([labeled])
    alone = evaluate_model(tmp_path / "m", store.path)
    assert {name: alone[name] for name in ("accuracy", "retrieval")} == {
        name: partly[name] for name in ("accuracy", "retrieval")
    }
    assert "11 rows of split test, 6 of them labeled" in metrics_table(partly)
    kept.label[:] = ""
    store = Store.create(tmp_path / "unlabeled", small_store.info)
    store.write_all([kept])
    none = evaluate_model(tmp_path / "m", store.path)
    assert none["instances"] == partly["instances"]
    table = metrics_table(none)
    assert "11 rows of split test, none of them labeled" in table
    assert "by instance" in table
    assert "accuracy" not in table
    assert "retrieval" not in table
    with pytest.raises(FitError, match=r"no row of split test has a label; a report is by class"):
        evaluate_model(tmp_path / "m", store.path, report=tmp_path / "report")
    kept.image.present[:] = False
    store.write_all([kept])
    with pytest.raises(StoreError, match="no row of split test has a label, or both image and text"):
        evaluate_model(tmp_path / "m", store.path)


@pytest.mark.parametrize("labels", [["a", "b"], ["x/a", "x/b"]])
def test_hierarchical_figures_are_none_where_all_classes_are_right(labels: list[str]) -> None:
    vectors = np.eye(4, dtype=np.float32)
    side, output = Side(vectors, np.ones(4, bool)), Output(vectors, vectors)
    data = TrainingRows(
        image=side,
        text=side,
        labels=np.zeros(4, np.int32),
        content=Pair.by_name(lambda _: np.arange(4, dtype=np.int32)),
    )
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


def test_a_model_without_a_classifier_tells_no_accuracy_and_has_no_report(tmp_path: Path, small_store: Store) -> None:
    summary = fit_model(small_store.path, tmp_path / "m", replace(FAST, objective="infonce", refit=True))
    result = evaluate_model(tmp_path / "m", small_store.path)
    for metrics in (summary.metrics, result):
        assert set(metrics["accuracy"].values()) == {None}
        assert metrics["retrieval"]["image_to_text"]["map"] is not None
    assert "accuracy" not in (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    with pytest.raises(FitError, match=r"infonce trains no classifier.*leave it out \(--report\)"):
        evaluate_model(tmp_path / "m", small_store.path, report=tmp_path / "r", folds=2)


def test_rows_without_a_vector_are_told_and_not_measured(tmp_path: Path, small_store: Store) -> None:
    fit_model(small_store.path, tmp_path / "m", FAST)
    for number in small_store.shard_numbers():
        rows = small_store.read(number)
        test = rows.split == "test"
        for _, its in rows.modalities.items():
            its.present[test], its.vectors[test], its.digest[test] = False, 0, 0
        small_store.write(number, rows)
    message = "no row of split test has a vector; huse store failures tells why"
    with pytest.raises(StoreError, match=message):
        evaluate_model(tmp_path / "m", small_store.path)
    with pytest.raises(StoreError, match=message):
        compare(small_store.path, tmp_path / "out", methods=("linear",))
