"""Every command on a store of which no row has a label, and on the model that it gives."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from command_line import invoke, ok, ok_json
from shared import Shared

import huse
from huse.embed.export.onnx import export_onnx
from huse.embed.serve.searcher import Searcher
from huse.features.store import Store


@pytest.fixture(scope="session")
def folder(few_store: Path, shared: Shared) -> Path:
    """The features of the 42 emoji without their labels, a model of them, and its embeddings. Read only."""

    def make(folder: Path) -> None:
        shutil.copytree(few_store, folder / "features")
        (folder / "features" / "classes.h5").unlink(missing_ok=True)
        store = Store.open(folder / "features")
        for number in store.shard_numbers():
            rows = store.read(number)
            rows.label[:] = ""
            store.write(number, rows)
        ok("fit", store.path, folder / "model", "--dimension", 64, "--hidden-units", 128, "--epochs", 20)
        ok("embed", folder / "model", store.path, folder / "embeddings")

    return shared("without-labels", make)


def test_it_is_fitted_evaluated_and_searched(folder: Path, tmp_path: Path) -> None:
    told = ok("fit", folder / "features", tmp_path / "m", "--dimension", 32, "--hidden-units", 64, "--epochs", 8)
    assert "30 training" not in told, "some validate"
    assert "of them without a label" in told
    assert "of 0 classes; semantic graph: none, as there are no classes" in told
    assert "by instance" in told
    result = ok_json("evaluate", folder / "model", folder / "features")
    assert (result["rows"], result["labeled"]) == (12, 0)
    assert result["instances"]["image_to_text"]["r_at_10"] > 0.5
    assert "accuracy" not in ok("evaluate", folder / "model", folder / "features")
    hits = ok_json("search", folder / "model", folder / "embeddings", "--text", "a flag")["results"][0]["hits"]
    assert len(hits) == 10
    assert {hit["label"] for hit in hits} == {""}
    assert Store.open(folder / "embeddings").load().prediction.tolist() == [""] * 42  # type: ignore[union-attr]


def test_it_is_drawn_served_and_exported(folder: Path, few_emoji: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "map.html"
    ok("plot", folder / "embeddings", drawn, "--projection", "pca", "--images", few_emoji.parent)
    ok("plot", folder / "model", tmp_path / "history.png", "--history")
    ok("store", "leaks", folder / "features")
    ok("doctor", folder / "model")
    ok("embed", folder / "model", folder / "features", tmp_path / "v.npy", "--fuse")
    model = huse.load(folder / "model")
    assert model.classify_texts(["a flag"]).shape == (1, 0)
    searcher = Searcher(model, folder / "embeddings")
    key = str(Store.open(folder / "embeddings").load().key[0])
    for answer in (searcher.by_text("a flag", 3, "other", []), searcher.by_key(key, "text", 3, "other", [])):
        assert len(answer.hits) == 3
        assert answer.classes == []
    ok("export", "card", folder / "model", tmp_path / "card")
    card = (tmp_path / "card" / "README.md").read_text(encoding="utf-8")
    assert "Places images and texts in one 64-dimensional space" in card
    assert "by instance r at 1" in card
    assert set(export_onnx(model.trained, tmp_path / "m.onnx")) == {"image_embedding", "text_embedding"}
    ok("export", "savedmodel", folder / "model", tmp_path / "saved")
    assert not hasattr(tf.saved_model.load(str(tmp_path / "saved")), "classify")


@pytest.mark.filterwarnings("ignore:.* have no label")
def test_what_takes_classes_refuses_in_one_line(folder: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (("compare", folder / "features", "--out", tmp_path / "c"), "0 labeled training rows of 0 classes"),
        (("fit", folder / "features", tmp_path / "m", "--pair-weight", 0), "0 labeled training rows of 0 classes"),
        (("plot", folder / "model", tmp_path / "g.png", "--graph"), "was trained on pairs without labels"),
        (("evaluate", folder / "model", folder / "features", "--report", tmp_path / "r"), "predicts no class"),
        (("search", folder / "model", folder / "embeddings", "--text", "a", "--class", "flags"), "flags"),
    ):
        result = invoke(*arguments)
        assert result.exit_code == 1, arguments
        assert message in result.stderr
        assert "Traceback" not in result.stderr
