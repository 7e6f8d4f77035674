"""Stores of which some rows, or all, have no label."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import random_store

from huse.features.errors import FitError
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model
from huse.train.config import FitConfig, preset
from huse.train.data import memory
from huse.train.data.batches import TrainingRows
from huse.train.data.stream import StreamedRows
from huse.train.data.task import prepare
from huse.train.evaluate import evaluate_model
from huse.train.fit import fit_model

FAST = FitConfig(dimension=16, hidden_units=32, learning_rate=0.01, epochs=4, batch_size=16, patience=0, refit=False)

Change = Callable[[Rows], object]


def changed(store: Store, change: Change) -> Path:
    """The store after a change of its rows."""
    for number in store.shard_numbers():
        rows = store.read(number)
        change(rows)
        store.write(number, rows)
    return store.path


def half(rows: Rows) -> None:
    """Every other row has no label."""
    rows.label[::2] = ""


def none(rows: Rows) -> None:
    rows.label[:] = ""


def fingerprint(store: Path, model: Path, config: FitConfig) -> str:
    fit_model(store, model, config)
    return load_model(model).fingerprint


def test_rows_without_a_label_are_trained_on_as_pairs(tmp_path: Path) -> None:
    store = changed(random_store(tmp_path / "s", n=200, shard_size=50), half)
    summary = fit_model(store, tmp_path / "m", replace(FAST, refit=True, epochs=10))
    assert summary.classes == 3
    assert summary.unlabeled_rows == 80 - summary.val_rows
    assert summary.train_rows + summary.val_rows == 160
    assert summary.metrics["accuracy"]["fused"] is None, "twelve rows with a label are too few to validate on"
    losses = load_model(tmp_path / "m").history[0]
    assert {"class", "gap", "pairs", "contrastive"} <= set(losses)
    assert float(losses["pairs"]) > 0
    assert evaluate_model(tmp_path / "m", store)["accuracy"]["fused"] > 0.5


def test_without_a_weight_they_are_left_out_and_said(small_store: Store, tmp_path: Path) -> None:
    store = changed(small_store, half)
    with pytest.warns(
        UserWarning, match="24 rows have no label, the first is key 'row-00000'; they are not trained on"
    ):
        left_out = fingerprint(store, tmp_path / "left out", replace(FAST, pair_weight=0.0))
    labeled = Store.create(tmp_path / "labeled", small_store.info)
    rows = small_store.load()
    labeled.write_all([rows.take(rows.label != "")])
    stored = small_store.read_classes()
    assert stored is not None
    labeled.write_classes(stored)
    assert fingerprint(labeled.path, tmp_path / "m", FAST) == left_out
    with_pairs = fingerprint(store, tmp_path / "with pairs", FAST)
    assert with_pairs != left_out


def test_where_all_rows_have_a_label_the_weight_changes_nothing(small_store: Store, tmp_path: Path) -> None:
    weights = (0.0, 1.0, 50.0)
    prints = {
        fingerprint(small_store.path, tmp_path / f"m{w}", replace(FAST, epochs=2, pair_weight=w)) for w in weights
    }
    assert len(prints) == 1


def test_a_row_of_one_modality_needs_a_label(small_store: Store, tmp_path: Path) -> None:
    def lacking(rows: Rows) -> None:
        half(rows)
        rows.text.present[:4] = False
        rows.text.vectors[:4] = 0

    store = changed(small_store, lacking)
    message = "6 rows have no label, and no image or no text beside it, the first is key 'row-00000'"
    with pytest.warns(UserWarning, match=message):
        summary = fit_model(store, tmp_path / "m", replace(FAST, epochs=1))
    assert summary.train_rows + summary.val_rows == 48 - 6


@pytest.mark.parametrize("change", [half, none])
def test_the_same_seed_gives_the_same_model_resumed_or_not(
    small_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    store, config = changed(small_store, change), replace(FAST, refit=True)
    whole = fingerprint(store, tmp_path / "whole", config)
    assert fingerprint(store, tmp_path / "again", config) == whole
    written, write = 0, np.savez

    def interrupted(*arguments: Any, **arrays: Any) -> None:
        nonlocal written
        written += 1
        if written in (3, 6):
            raise KeyboardInterrupt
        write(*arguments, **arrays)

    monkeypatch.setattr(np, "savez", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit_model(store, tmp_path / "m", config, resume=True, checkpoint_every=0)
    fit_model(store, tmp_path / "m", config, resume=True, checkpoint_every=0)
    assert load_model(tmp_path / "m").fingerprint == whole


@pytest.mark.parametrize("change", [half, none])
def test_streamed_rows_are_those_in_memory(small_store: Store, tmp_path: Path, change: Change) -> None:
    def doubled(rows: Rows) -> None:
        change(rows)
        rows.image.digest[1::2] = rows.image.digest[: len(rows) - 1 : 2]

    store = changed(small_store, doubled)
    streamed = replace(FAST, memory="streamed", memory_budget=memory.PREPARED * 90 / 2**30, batch_size=8)
    ours, theirs = (prepare(Store.open(store), config).data for config in (streamed, FAST))
    assert isinstance(ours, StreamedRows)
    assert isinstance(theirs, TrainingRows)
    rows = np.arange(len(ours))[::-1]
    ours, theirs = ours.take(rows), theirs.take(rows)
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    for modality, numbers in ours.content.items():
        np.testing.assert_array_equal(numbers, theirs.content.of(modality))
    assert len(set(ours.content.image)) < len(set(ours.content.text))
    assert fit_model(store, tmp_path / "m", streamed).unlabeled_rows >= 20


@pytest.mark.parametrize("balance", ["sampling", "weights"])
@pytest.mark.parametrize("change", [half, none])
def test_classes_are_balanced_among_the_rows_that_have_one(
    small_store: Store, tmp_path: Path, balance: str, change: Change
) -> None:
    summary = fit_model(changed(small_store, change), tmp_path / "m", replace(FAST, balance=balance))
    assert np.isfinite(float(load_model(tmp_path / "m").history[-1]["loss"]))
    assert summary.unlabeled_rows >= 20


def test_without_any_label_pairs_alone_are_trained_on(small_store: Store, tmp_path: Path) -> None:
    store = changed(small_store, none)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        summary = fit_model(store, tmp_path / "m", replace(FAST, epochs=30, refit=True))
    assert (summary.classes, summary.semantic_graph) == (0, "none, as there are no classes")
    assert summary.val_rows == 7
    assert summary.refit
    model = load_model(tmp_path / "m")
    assert set(model.history[0]) - {"phase", "epoch", "loss"} >= {"gap", "pairs"}
    assert "class" not in model.history[0]
    result = evaluate_model(tmp_path / "m", store)
    assert (result["rows"], result["labeled"]) == (12, 0)
    assert result["instances"]["image_to_text"]["mrr"] > 0.4, "0.26 is chance"
    again = evaluate_model(tmp_path / "m", changed(small_store, lambda rows: rows.label.__setitem__(slice(None), "a")))
    assert again["unknown_classes"] == []
    assert set(again["accuracy"].values()) == {None}
    assert again["retrieval"]["image_to_text"]["map"] is None, "of one class, nothing could be wrong"
    assert again["instances"] == result["instances"]


@pytest.mark.parametrize("kept", [1, 5])
def test_labels_of_one_class_are_left_aside_where_other_rows_have_none(
    small_store: Store, tmp_path: Path, kept: int
) -> None:
    rows = small_store.load()
    keys = set(rows.key[rows.label == "things/class 0"][:kept])

    def few(rows: Rows) -> None:
        rows.label[[key not in keys for key in rows.key]] = ""

    store = changed(small_store, few)
    with pytest.warns(
        UserWarning,
        match=r"labels of 1 class among .*, too few to learn from; .* alone are trained on, \d labels? left",
    ):
        summary = fit_model(store, tmp_path / "m", replace(FAST, epochs=1))
    assert (summary.classes, summary.train_rows + summary.val_rows) == (0, 48)


def test_what_can_not_be_learned_from_is_refused(small_store: Store, tmp_path: Path) -> None:
    store = changed(small_store, none)
    for config in (replace(FAST, pair_weight=0.0), replace(FAST, objective="triplet"), preset("paper")):
        with (
            pytest.warns(UserWarning, match="60|48 rows have no label"),
            pytest.raises(FitError, match=r"0 labeled training rows of 0 classes; .* objective='huse' .*--pair-weight"),
        ):
            fit_model(store, tmp_path / "m", config)
    with pytest.raises(FitError, match=r"semantic_graph='taxonomy' \(--semantic-graph\): .* has no classes"):
        fit_model(store, tmp_path / "m", FAST, semantic_graph="taxonomy")
    for weight in (-1.0, float("nan")):
        with pytest.raises(FitError, match="pair_weight is"):
            replace(FAST, pair_weight=weight)

    def alone(rows: Rows) -> None:
        rows.split[:] = "test"

    changed(small_store, alone)
    rows = small_store.read(0)
    rows.split[0] = "train"
    small_store.write(0, rows)
    with pytest.raises(FitError, match="0 labeled training rows"):
        fit_model(store, tmp_path / "m", FAST)
