from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from samples import random_rows, random_store

from huse.features.errors import FingerprintError, FitError, ModelError
from huse.features.exchange.interchange import import_store
from huse.features.store import Store
from huse.train.artifact.model_files import check_model, read_classes, read_config
from huse.train.artifact.model_folder import TrainedModel, load_model
from huse.train.config import FitConfig
from huse.train.data.batches import TrainingRows
from huse.train.estimator import HUSE
from huse.train.evaluate import evaluate_model
from huse.train.fit import fit_model
from huse.train.network.towers import build_towers

SMALL = FitConfig(epochs=2, dimension=4, hidden_units=4, batch_size=32)


def trained(seed: int = 0, config: FitConfig = SMALL) -> TrainedModel:
    """Towers as they are before training, with all that a model has."""
    keras.utils.set_random_seed(seed)
    store_rows = random_rows(30)
    classes = sorted(set(store_rows.label))
    data = TrainingRows.of(store_rows, classes)
    network = build_towers(data, np.arange(30), len(classes), config)
    from samples import IMAGE_SPEC, TEXT_SPEC

    return TrainedModel(
        network,
        config,
        IMAGE_SPEC,
        TEXT_SPEC,
        classes,
        np.eye(3, dtype=np.float32),
        0.4,
        {"accuracy": {"fused": 0.5}, "retrieval": {}},
        [{"phase": "search", "loss": 1.5}, {"phase": "search", "loss": 1.0, "val_score": 0.25}],
        {"words": ["a", "ü"], "idf": [1.0, 2.0]},
    )


def test_a_model_saved_again_is_the_same_to_the_byte(tmp_path: Path) -> None:
    trained().save(tmp_path / "a")
    loaded = load_model(tmp_path / "a")
    loaded.save(tmp_path / "b")
    for entry in (tmp_path / "a").iterdir():
        if entry.name not in ("model.keras", "config.json", "README.md"):  # the archive keeps its time
            assert entry.read_bytes() == (tmp_path / "b" / entry.name).read_bytes(), entry.name
    again = load_model(tmp_path / "b")
    assert again.fingerprint == loaded.fingerprint == trained().fingerprint
    assert (again.metrics, again.text_state, again.fusion_weight) == (loaded.metrics, loaded.text_state, 0.4)
    with (tmp_path / "b" / "history.csv").open() as file:
        assert [entry["val_score"] for entry in csv.DictReader(file)] == ["", "0.25"]


@pytest.mark.parametrize(
    "name",
    [
        "model.keras",
        "config.json",
        "classes.json",
        "semantic_graph.npy",
        "metrics.json",
        "history.csv",
        "text_encoder.json",
    ],
)
def test_a_flipped_bit_in_any_file_is_refused_before_the_network_is_loaded(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained().save(tmp_path / "m")
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("loaded"))
    file = tmp_path / "m" / name
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    places = range(len(whole)) if len(whole) < 300 else rng.integers(0, len(whole), 200).tolist()
    for place in places:
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8
        file.write_bytes(broken)
        with pytest.raises(ModelError) as error:
            load_model(tmp_path / "m")
        assert str(error.value).count("\n") == 0
        assert name in str(error.value)
    assert name in check_model(tmp_path / "m")


@pytest.mark.parametrize("name", ["model.keras", "config.json", "classes.json", "metrics.json", "history.csv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    trained().save(tmp_path / "m")
    assert check_model(tmp_path / "m") == {}
    (tmp_path / "m" / name).unlink()
    with pytest.raises(ModelError, match=f"no {name}"):
        load_model(tmp_path / "m")


def test_the_card_may_be_edited(tmp_path: Path) -> None:
    trained().save(tmp_path / "m")
    (tmp_path / "m" / "README.md").write_text("mine")
    load_model(tmp_path / "m")
    assert check_model(tmp_path / "m") == {}


def resigned(folder: Path, **changes: object) -> None:
    """config.json with other values, as a stranger could write them, made to pass for version 1."""
    values = json.loads((folder / "config.json").read_text())
    for name in ("digest", "files"):
        values.pop(name, None)
    (folder / "config.json").write_text(json.dumps({**values, "version": 1, **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": None},
        {"fusion_weight": "much"},
        {"fusion_weight": 7},
        {"fit": {"dimension": -1}},
        {"fit": {"wings": 2}},
        {"fit": None},
        {"image": {"name": "x"}},
        {"image": 3},
        {"version": 99},
    ],
)
def test_values_that_no_model_has_are_one_line(tmp_path: Path, changes: dict[str, object]) -> None:
    trained().save(tmp_path / "m")
    resigned(tmp_path / "m", **changes)
    with pytest.raises(ModelError, match=r"config\.json") as error:
        read_config(tmp_path / "m")
    assert "\n" not in str(error.value)


def test_parts_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    trained().save(tmp_path / "m")
    resigned(tmp_path / "m")
    (tmp_path / "m" / "classes.json").write_text('["a", "b"]')
    with pytest.raises(ModelError, match=r"shape \(3, 3\) for 2 classes"):
        read_classes(tmp_path / "m")
    np.save(tmp_path / "m" / "semantic_graph.npy", np.zeros((2, 2), np.float32))
    with pytest.raises(ModelError, match=r"2 classes, model\.keras has 3"):
        load_model(tmp_path / "m")
    (tmp_path / "m" / "model.keras").write_bytes(b"PK no archive")
    with pytest.raises(ModelError, match=r"model\.keras: cannot be loaded") as error:
        load_model(tmp_path / "m")
    assert "\n" not in str(error.value)


def test_models_of_version_1_load_and_are_checked(tmp_path: Path) -> None:
    old = Path(__file__).with_name("version_1")
    assert check_model(old) == {}
    model = load_model(old)
    assert model.classes == [f"things/class {i}" for i in range(3)]
    assert model.config.precision == "float32", "there was no other"
    assert len(model.history) >= 2
    assert 0 <= evaluate_model(old, random_store(tmp_path / "s").path)["accuracy"]["fused"] <= 1
    model.save(tmp_path / "new")
    assert load_model(tmp_path / "new").fingerprint == model.fingerprint
    shutil.copytree(old, tmp_path / "cut")
    (tmp_path / "cut" / "history.csv").unlink()
    assert "history.csv" in check_model(tmp_path / "cut")


def test_a_failed_save_keeps_the_model_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(0).save(tmp_path / "m")
    with pytest.raises(FitError, match="--overwrite"):
        trained(1).save(tmp_path / "m")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(OSError, match=r"No space left on device: .*m'"):
            trained(1).save(tmp_path / "m", overwrite=True)
    assert load_model(tmp_path / "m").fingerprint == trained(0).fingerprint
    trained(1).save(tmp_path / "m", overwrite=True)
    assert load_model(tmp_path / "m").fingerprint == trained(1).fingerprint
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]


def test_an_estimators_model_fits_a_store_of_the_same_arrays(tmp_path: Path) -> None:
    rows = random_rows(60)
    model = HUSE(epochs=1, refit=False, dimension=8, hidden_units=8).fit(
        (rows.image.vectors, rows.text.vectors), rows.label
    )
    model.save(tmp_path / "m")
    vectors = {"image": rows.image.vectors, "text": rows.text.vectors}
    columns = {**vectors, "labels": rows.label.astype(str), "split": np.full(60, "test")}
    for name, array in columns.items():
        np.save(tmp_path / f"{name}.npy", array)
    files = {name: str(tmp_path / f"{name}.npy") for name in columns}
    import_store(tmp_path / "s", **files)
    assert evaluate_model(tmp_path / "m", tmp_path / "s")["rows"] == 60
    import_store(tmp_path / "named", **files, image_encoder="clip")
    with pytest.raises(FingerprintError, match=r"encoders differ, .*; huse embed MODEL MANIFEST OUT makes"):
        evaluate_model(tmp_path / "m", tmp_path / "named")


def test_a_fit_over_a_model_that_appeared_meanwhile_is_refused(
    small_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_model(small_store.path, tmp_path / "m", replace(SMALL, epochs=1, refit=False))
    with pytest.raises(FitError, match="a model is there already"):
        fit_model(small_store.path, tmp_path / "m", replace(SMALL, epochs=1, refit=False))
    assert not list(tmp_path.glob(".*.lock"))


def test_embeddings_tell_apart_what_the_same_weights_make_by_another_blend() -> None:
    """Training does not see the blend, so the weights may be the same."""
    usual, other = (trained(config=replace(SMALL, blend=blend)) for blend in (0.7, 0.2))
    assert usual.fingerprint == other.fingerprint
    assert usual.embedding_spec("image") != other.embedding_spec("image")
    assert usual.embedding_spec("image") != replace(usual, fusion_weight=0.9).embedding_spec("image")
