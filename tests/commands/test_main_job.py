"""The main job: extract, fit, evaluate, embed, search, in a process as users have."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import invoke, ok, ok_json, process_ok_in_turn
from samples import cosines, random_store, read_csv, text_manifest, write_csv

from huse.features.store import Store


def test_the_main_job(few_emoji: Path, few_store: Path, tmp_path: Path) -> None:
    """With images of 96 pixels, as those of `few_store`; the demo's test has the default encoder."""
    store, model, out = tmp_path / "features", tmp_path / "model", tmp_path / "embeddings"
    bad = [
        {"key": "missing", "image": "absent.png", "text": "a missing file"},
        {"key": "words", "image": str(tmp_path / "words.jpg"), "text": "a text file"},
        {"key": "zero", "image": str(tmp_path / "zero.png"), "text": "a zero-byte image"},
        {"key": "mute", "image": read_csv(few_emoji)[20]["image"], "text": "  "},
    ]
    (tmp_path / "words.jpg").write_text("not an image")
    (tmp_path / "zero.png").write_bytes(b"")
    rows = read_csv(few_emoji)
    for place, row in zip((3, 11, 30, 38), bad, strict=True):
        rows.insert(place, {**rows[0], **row, "split": "train"})
    manifest = write_csv(few_emoji.parent / "with_bad.csv", rows)

    options = ("--image-encoder", "vgg16@96:blocks", "--shard-size", 20)
    printed, saved, evaluated, embedded, found = process_ok_in_turn(
        ("extract", manifest, store, *options, "--batch-size", 8),
        ("fit", store, model, "--epochs", 12, "--hidden-units", 64, "--dimension", 32),
        ("evaluate", model, store, "--json"),
        ("embed", model, store, out, "--json"),
        ("search", model, out, "--text", "wild animal", "-k", 7, "--json"),
    )
    for key in ("missing", "words", "zero"):
        assert f"failed: {key}: " in printed
    stored = Store.open(store).load()
    assert list(stored.key) == [row["key"] for row in rows]
    assert list(stored.key[~stored.image.present]) == ["missing", "words", "zero"]
    assert list(stored.key[~stored.text.present]) == ["mute"]
    other = Store.open(few_store).load()
    at = {key: i for i, key in enumerate(stored.key)}
    same = stored.take([at[key] for key in other.key])  # aligned by content, not by count
    assert cosines(same.image.vectors, other.image.vectors).min() > 0.999
    assert abs(same.text.vectors.astype(float) - other.text.vectors.astype(float)).max() < 1e-3
    twin = at[read_csv(few_emoji)[20]["key"]]
    assert abs(stored.image.vectors[at["mute"]].astype(float) - stored.image.vectors[twin].astype(float)).max() < 0.05

    again = ok_json("extract", manifest, store, *options)
    assert (again["rows"], again["encoded"], again["reused"], again["failures"]) == (46, 0, 43, 3)
    assert "saved" in saved
    figures = json.loads(evaluated)
    assert set(figures["accuracy"]) == {"image", "text", "fused"}
    directions = {"image_to_image", "image_to_text", "text_to_image", "text_to_text"}
    assert set(figures["retrieval"]) == directions
    assert all(set(values) == {"r_at_1", "r_at_5", "r_at_10", "map"} for values in figures["retrieval"].values())
    assert figures["accuracy"]["fused"] > 0.8
    assert "accuracy   image" in ok("evaluate", model, store, "--split", "all")
    assert json.loads(embedded)["embedded"] == 46
    (result,) = json.loads(found)["results"]
    labels = [hit["label"] for hit in result["hits"]]  # of a model of 12 epochs: the first, and most, on any processor
    assert labels[0] == "animals & nature/animal mammal"
    assert labels.count("animals & nature/animal mammal") > 3
    assert "flags" in ok("search", model, out, "--image", few_emoji.parent / read_csv(few_emoji)[0]["image"])
    inspected = ok_json("store", "inspect", store)
    assert (inspected["rows"], inspected["with_image"], inspected["with_text"], inspected["failures"]) == (
        46,
        43,
        45,
        3,
    )
    assert "vgg16@96:blocks, 1024-d" in ok("store", "inspect", store)
    assert "3 of 3 shards are whole" in ok("store", "verify", store)
    assert "zero\tread\tempty file" in ok("store", "failures", store)


def test_other_encoders_end_with_one_line_naming_both(few_model: Path, tmp_path: Path) -> None:
    other = random_store(tmp_path / "other")
    result = invoke("embed", few_model, other.path, tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "vgg16" in result.stderr
    assert "image-test" in result.stderr


def test_a_fitted_vocabulary_goes_with_the_model(tmp_path: Path) -> None:
    manifest = text_manifest(tmp_path, 40)
    ok("extract", manifest, tmp_path / "s", "--text-encoder", "tfidf:60", "--salient-tokens", 3)
    ok("fit", tmp_path / "s", tmp_path / "m", "--epochs", 20, "--hidden-units", 32, "--dimension", 16)
    more = write_csv(tmp_path / "more.csv", [{"key": "new", "text": "a train"}, {"key": "other", "text": "an apple"}])
    ok("embed", tmp_path / "m", more, tmp_path / "e")
    rows = Store.open(tmp_path / "e").load()
    assert rows.prediction is not None
    assert rows.prediction.tolist() == ["train", "apple"]
    found = ok_json("search", tmp_path / "m", tmp_path / "e", "--text", "the train", "--gallery", "text", "-k", 1)
    assert found["results"][0]["hits"][0]["key"] == "new"
