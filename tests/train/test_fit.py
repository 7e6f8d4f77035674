from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from samples import random_rows, random_store, without_images

from huse.features.errors import FitError, StoreError
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model
from huse.train.config import FitConfig, preset
from huse.train.evaluate import evaluate_model
from huse.train.evaluation.measure import validation_score
from huse.train.fit import fit_model
from huse.train.loop.refit import LEAST_REFIT_EPOCHS
from huse.train.loop.training import epochs_of
from huse.train.network.precision import resolved

FAST = FitConfig(dimension=16, hidden_units=32, learning_rate=0.01, epochs=12, batch_size=32, patience=0, refit=False)


def test_learns_and_saves_what_the_design_names(small_store: Store, tmp_path: Path) -> None:
    summary = fit_model(small_store.path, tmp_path / "m", replace(FAST, refit=True))
    result = evaluate_model(tmp_path / "m", small_store.path)
    assert result["accuracy"]["fused"] >= 0.75
    assert result["retrieval"]["image_to_text"]["map"] > 0.6
    assert {p.name for p in (tmp_path / "m").iterdir()} == {
        "model.keras", "config.json", "classes.json", "semantic_graph.npy", "history.csv", "metrics.json", "README.md",
        "settings.toml",
    }  # fmt: skip
    assert (summary.classes, summary.train_rows + summary.val_rows, summary.refit) == (3, 48, True)
    with (tmp_path / "m" / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert sum(entry["phase"] == "search" for entry in history) == 12
    assert sum(entry["phase"] == "refit" for entry in history) == max(summary.best_epoch, LEAST_REFIT_EPOCHS)
    assert float(history[11]["loss"]) < float(history[0]["loss"])
    card = (tmp_path / "m" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: huse")
    assert f"| accuracy fused | {summary.metrics['accuracy']['fused']:.3f} |" in card


def test_same_seed_same_model_other_seed_another(small_store: Store, tmp_path: Path) -> None:
    prints = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fit_model(small_store.path, tmp_path / name, replace(FAST, seed=seed, epochs=3))
        prints.append(load_model(tmp_path / name).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_a_perfect_score_is_not_waited_on_and_the_model_is_the_same(small_store: Store, tmp_path: Path) -> None:
    for number in small_store.shard_numbers():
        rows = small_store.read(number)
        for _, its in rows.modalities.items():  # every row is the first of its class again
            its.vectors[:] = its.vectors[np.arange(len(rows)) % 3]
        small_store.write(number, rows)
    stops = fit_model(small_store.path, tmp_path / "stops", replace(FAST, patience=12))
    goes_on = fit_model(small_store.path, tmp_path / "goes on", FAST)
    assert stops.metrics["retrieval"]["image_to_text"]["map"] == 1
    assert stops.epochs == stops.best_epoch < goes_on.epochs
    assert goes_on.best_epoch == stops.best_epoch
    ours, theirs = (load_model(tmp_path / name).network.get_weights() for name in ("stops", "goes on"))
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"margin": "paper", "delta": 0.0, "blend": 0.0, "logits": "dense"},
        {"balance": "sampling", "nested": (4, 8), "precision": "bfloat16"},
        {"balance": "weights"},
        {"beta": 0.0, "gamma": 0.0, "image_layers": 2, "input_dropout": 0.1},
        {"optimizer": "rmsprop", "refit": False, "val_fraction": 0.0},
    ],
)
def test_every_kind_of_configuration_trains(small_store: Store, tmp_path: Path, changes: dict[str, object]) -> None:
    config = replace(FAST, **changes)  # type: ignore[arg-type]
    fit_model(small_store.path, tmp_path / "m", config)
    trained = load_model(tmp_path / "m")
    assert trained.config == resolved(config)
    with (tmp_path / "m" / "history.csv").open() as file:
        losses = [float(entry["loss"]) for entry in csv.DictReader(file)]
    assert losses[-1] < losses[0]
    assert evaluate_model(trained, small_store.path)["accuracy"]["fused"] > 0.5, "chance is a third"


def weights_without(tmp_path: Path, changed: str) -> list[np.ndarray]:  # type: ignore[type-arg]
    """The weights after one epoch on rows of which one in four is of split val, those of a split made nonsense."""
    rows = random_rows(60)
    rows.split[:] = ["val" if i % 4 == 0 else "train" for i in range(60)]
    for _, its in rows.modalities.items():
        its.vectors[rows.split == changed] *= -100
    rows.label[rows.split == changed] = rows.label[rows.split == changed][::-1]
    store = random_store(tmp_path / f"store-{changed}", n=0, shard_size=60)
    store.write(0, rows)
    summary = fit_model(store.path, tmp_path / f"model-{changed}", replace(FAST, epochs=1))
    assert (summary.train_rows, summary.val_rows, summary.refit) == (45, 15, False)
    return list(load_model(tmp_path / f"model-{changed}").network.get_weights())


def test_val_rows_are_never_trained_on(tmp_path: Path) -> None:
    whole, other_val, other_train = (weights_without(tmp_path, split) for split in ("", "val", "train"))
    assert all(np.array_equal(a, b) for a, b in zip(whole, other_val, strict=True)), "statistics of features too"
    assert not all(np.array_equal(a, b) for a, b in zip(whole, other_train, strict=True))


def test_rows_of_one_modality_train_and_are_measured(tmp_path: Path, small_store: Store) -> None:
    rows = random_rows(60)
    rows.image.present[::3] = False
    rows.image.vectors[::3] = 0
    rows.text.present[1::3] = False
    rows.text.vectors[1::3] = 0
    small_store.write(0, rows)
    for index in (1, 2):
        small_store.shard_path(index).unlink()
    small_store.write_plan(1)
    fit_model(small_store.path, tmp_path / "m", FAST)
    result = evaluate_model(tmp_path / "m", small_store.path)
    assert result["accuracy"]["fused"] >= 0.6


def test_a_store_of_texts_alone_trains(tmp_path: Path, small_store: Store) -> None:
    store = Store.create(tmp_path / "t", replace(small_store.info, image=None))
    rows = random_rows(60)
    store.write(0, without_images(rows))
    fit_model(store.path, tmp_path / "m", FAST, semantic_graph="taxonomy")
    result = evaluate_model(tmp_path / "m", store.path)
    assert result["accuracy"]["image"] is None
    assert result["retrieval"]["image_to_text"]["map"] is None
    assert result["accuracy"]["text"] == result["accuracy"]["fused"] > 0.5


def test_one_modality_is_shown_on_tensorboard(tmp_path: Path, small_store: Store) -> None:
    store = Store.create(tmp_path / "t", replace(small_store.info, image=None))
    store.write(0, without_images(random_rows(60)))
    fit_model(
        store.path, tmp_path / "m", replace(FAST, epochs=4), semantic_graph="taxonomy", tensorboard=tmp_path / "l"
    )
    assert (tmp_path / "l" / "search").is_dir()


def test_validation_rows_of_one_class_are_judged_by_their_classes(tmp_path: Path, small_store: Store) -> None:
    """What is nearest to them could not be wrong, and a perfect figure of it would end the fit."""
    rows = random_rows(60)
    rows.split[:] = np.where((rows.label == rows.label[0]) & (rows.split == "test"), "val", "train")
    store = Store.create(tmp_path / "s", replace(small_store.info, shard_size=60))
    store.write(0, rows)
    fit_model(store.path, tmp_path / "m", replace(FAST, patience=100))
    trained = load_model(tmp_path / "m")
    assert trained.metrics["retrieval"]["image_to_text"]["map"] is None
    assert trained.metrics["accuracy"]["fused"] is not None


def test_a_short_patience_waits_for_another_look(tmp_path: Path, small_store: Store) -> None:
    """Small epochs are validated every fourth, which no patience may end before."""
    summary = fit_model(small_store.path, tmp_path / "m", replace(FAST, learning_rate=1e-3, patience=1, batch_size=512))
    assert summary.epochs >= 8


def test_semantic_graphs(tmp_path: Path, small_store: Store) -> None:
    fast = replace(FAST, epochs=1)
    fit_model(small_store.path, tmp_path / "t", fast, semantic_graph="taxonomy")
    assert load_model(tmp_path / "t").graph[0].tolist() == [0, 0.5, 0.5]
    np.save(tmp_path / "g.npy", 1 - np.eye(3))
    fit_model(small_store.path, tmp_path / "f", fast, semantic_graph=str(tmp_path / "g.npy"))
    assert load_model(tmp_path / "f").graph[0].tolist() == [0, 1, 1]
    np.save(tmp_path / "g.npy", np.eye(4))
    with pytest.raises(FitError, match=r"shape \(4, 4\); it must hold 3 x 3"):
        fit_model(small_store.path, tmp_path / "x", fast, semantic_graph=str(tmp_path / "g.npy"))
    with pytest.raises(FitError, match=r"absent\.npy' \(--semantic-graph\): not auto, names, taxonomy or a \.npy file"):
        fit_model(small_store.path, tmp_path / "x", fast, semantic_graph="absent.npy")
    (small_store.path / "classes.h5").unlink()
    with pytest.raises(FitError, match="another semantic_graph"):
        fit_model(small_store.path, tmp_path / "x", fast, semantic_graph="names")
    assert fit_model(small_store.path, tmp_path / "x", fast).semantic_graph == "taxonomy of the label paths"


def test_a_model_is_not_lost_by_accident(tmp_path: Path, small_store: Store) -> None:
    fast = replace(FAST, epochs=1)
    fit_model(small_store.path, tmp_path / "m", fast)
    with pytest.raises(FitError, match="--overwrite"):
        fit_model(small_store.path, tmp_path / "m", fast)
    fit_model(small_store.path, tmp_path / "m", fast, overwrite=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("!")
    with pytest.raises(FitError, match="not a huse model"):
        fit_model(small_store.path, tmp_path / "mine", fast, overwrite=True)
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_stores_without_classes_or_rows_are_refused(tmp_path: Path, small_store: Store) -> None:
    rows = small_store.read(0)
    rows.label[:] = "one"
    for index in (1, 2):
        small_store.shard_path(index).unlink()
    small_store.write_plan(1)
    small_store.write(0, rows)
    with pytest.raises(FitError, match="of 1 class; 2 classes are needed"):
        fit_model(small_store.path, tmp_path / "m", FAST)
    small_store.shard_path(0).unlink()
    with pytest.raises(StoreError, match="shards are missing"):
        fit_model(small_store.path, tmp_path / "m", FAST)


def test_a_loss_that_is_not_finite_ends_the_fit(tmp_path: Path, small_store: Store) -> None:
    with pytest.raises(FitError, match=r"not finite|no longer a finite number"):
        fit_model(small_store.path, tmp_path / "m", replace(FAST, learning_rate=1e38))
    assert not (tmp_path / "m").exists()


def test_unknown_splits_and_labels_when_evaluating(tmp_path: Path, small_store: Store) -> None:
    fit_model(small_store.path, tmp_path / "m", replace(FAST, epochs=1))
    with pytest.raises(StoreError, match="no row of split val"):
        evaluate_model(tmp_path / "m", small_store.path, "val")
    assert evaluate_model(tmp_path / "m", small_store.path, "all")["rows"] == 60


def test_options_out_of_range_are_named() -> None:
    for changes, message in (
        ({"margin": "x"}, "margin is 'x'; use 'paper' or 'push'"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"gamma": -0.5}, "gamma is -0.5; it must not be negative"),
        ({"momentum": 1.0}, "momentum is 1.0; it must be at least 0 and below 1"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; it must be a finite number"),
    ):
        with pytest.raises(FitError, match=message):
            preset("default", **changes)
    with pytest.raises(FitError, match="no preset 'x'"):
        preset("x")
    with pytest.raises(FitError, match="no hyperparameter size"):
        preset("default", size=1)


def test_prefixes_ascend_and_are_shorter_than_the_whole() -> None:
    for given in ([64, 128], np.array([64, 128]), (np.int64(64), np.int64(128))):
        nested = FitConfig(nested=given).nested  # type: ignore[arg-type]
        assert nested == (64, 128)
        assert {type(n) for n in nested} == {int}, "settings.toml and config.json have no other"
    for wrong in ((512,), (0, 64), (128, 64), (64, 64), (6.5,), ("64",)):
        with pytest.raises(FitError, match=r"nested is .*; it must be whole numbers, ascending, below dimension=512"):
            FitConfig(nested=wrong)  # type: ignore[arg-type]


def test_prefixes_are_of_what_images_and_texts_share(small_store: Store, tmp_path: Path) -> None:
    config = replace(FAST, nested=(14,))
    with pytest.raises(FitError, match=r"nested has 14 \(--nested\): 12 of 16 dimensions are shared .* at most 12"):
        fit_model(small_store.path, tmp_path / "m", config)
    fit_model(small_store.path, tmp_path / "m", replace(config, blend=0.0, epochs=1))


def test_the_paper_counts_in_steps() -> None:
    assert epochs_of(preset("paper"), 68_000) == -(-250_000 // 67)
    assert validation_score({"retrieval": {d: {"map": None} for d in ("image_to_text", "text_to_image")},
                             "accuracy": {"image": None, "text": 0.5, "fused": 0.7}}) == pytest.approx(0.6)  # fmt: skip


@pytest.mark.parametrize(("steps", "batch_size"), [(1, 16), (2, 16), (7, 16), (5, 512)])
def test_steps_are_counted_exactly(
    small_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, batch_size: int
) -> None:
    made: list[keras.Optimizer] = []
    build = keras.optimizers.Adam.build

    def recorded(optimizer: keras.Optimizer, variables: Any) -> None:
        made.append(optimizer)
        build(optimizer, variables)

    monkeypatch.setattr(keras.optimizers.Adam, "build", recorded)
    config = replace(FAST, steps=steps, batch_size=batch_size)
    for refit in (False, True):
        fit_model(small_store.path, tmp_path / f"m{refit}", replace(config, refit=refit))
    search, again = (int(optimizer.iterations) for optimizer in made)
    assert search == steps
    assert 0 < again <= steps


def test_modalities_that_nothing_ties_are_judged_by_their_classes() -> None:
    metrics = {
        "retrieval": {way: {"map": 0.3} for way in ("image_to_text", "text_to_image")},
        "accuracy": {"image": 0.5, "text": 0.6, "fused": 0.7},
    }
    assert validation_score(metrics) == pytest.approx(0.3)
    assert validation_score(metrics, "separate") == pytest.approx(0.6)


def test_a_full_device_names_the_way_out(small_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(keras.optimizers.Adam, "apply_gradients", full)
    with pytest.raises(
        FitError, match=r"batch_size=512 \(--batch-size\); fit again with a smaller one, or with memory='streamed'"
    ):
        fit_model(small_store.path, tmp_path / "m", FitConfig())
