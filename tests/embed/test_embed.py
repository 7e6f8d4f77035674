"""Model, batch embedding and search on real emoji with real encoders."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import random_store, read_csv, write_csv

import huse
from huse.embed.batch import embed_source
from huse.embed.search import nearest, search_embeddings
from huse.extract.job import ExtractConfig
from huse.features.errors import FingerprintError, ManifestError, ModelError, QueryError
from huse.features.store import EMBEDDINGS, Store, StoreInfo
from huse.train.config import FitConfig
from huse.train.fit import fit_model


def test_batch_and_direct_embedding_agree(few_emoji: Path, few_model: Path, few_embeddings: Path) -> None:
    rows = Store.open(few_embeddings).load()
    model = huse.load(few_model)
    table = {row["key"]: row for row in read_csv(few_emoji)}
    some = rows.key[[3, 17, 40]]
    images = model.embed_images([few_emoji.parent / table[key]["image"] for key in some])
    texts = model.embed_texts([table[key]["text"] for key in some])
    picked = rows.take(np.isin(rows.key, some))
    assert ((picked.image.astype(np.float32) * images).sum(axis=1) > 0.999).all()
    assert ((picked.text.astype(np.float32) * texts).sum(axis=1) > 0.999).all()


def test_embeddings_carry_prediction_and_rows(few_store: Path, few_model: Path, few_embeddings: Path) -> None:
    source, rows = Store.open(few_store).load(), Store.open(few_embeddings).load()
    assert list(rows.key) == list(source.key)
    assert list(rows.caption) == list(source.caption)
    np.testing.assert_allclose(np.linalg.norm(rows.image.astype(np.float32), axis=1), 1, atol=2e-3)
    assert rows.prediction is not None
    assert rows.probability is not None
    assert np.mean(rows.prediction == rows.label) > 0.9
    assert ((rows.probability > 1 / 3) & (rows.probability <= 1)).all()
    assert set(rows.prediction) <= set(huse.load(few_model).classes)


def test_embedding_a_manifest_equals_embedding_its_store(
    few_emoji: Path, few_model: Path, few_embeddings: Path, tmp_path: Path
) -> None:
    summary = embed_source(few_model, few_emoji, tmp_path / "out", ExtractConfig(shard_size=10, batch_size=8))
    assert summary.extract is not None
    assert (summary.rows, summary.embedded, summary.extract.encoded) == (42, 42, 42)
    ours, theirs = Store.open(tmp_path / "out").load(), Store.open(few_embeddings).load()
    np.testing.assert_allclose(ours.image.astype(float), theirs.image.astype(float), atol=2e-3)
    again = embed_source(few_model, few_emoji, tmp_path / "out", ExtractConfig(shard_size=10, batch_size=8))
    assert again.extract is not None
    assert (again.rows, again.embedded, again.extract.encoded) == (42, 0, 0)


def test_changed_and_removed_shards_follow_the_source(few_store: Path, few_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(few_store, source)
    embed_source(few_model, source, tmp_path / "out")
    store = Store.open(source)
    store.shard_path(4).unlink()
    rows = store.read(1)
    rows.text_digest[3] += 1
    store.write(1, rows)
    summary = embed_source(few_model, source, tmp_path / "out")
    assert (summary.rows, summary.embedded) == (40, 10)
    assert list(Store.open(tmp_path / "out").load().key) == list(store.load().key)


def test_rows_without_a_modality_stay_without_it(few_store: Path, few_model: Path, tmp_path: Path) -> None:
    source = Store.create(tmp_path / "source", Store.open(few_store).info)
    rows = Store.open(few_store).read(0)
    rows.has_image[0] = rows.has_text[1] = rows.has_image[2] = rows.has_text[2] = False
    source.write(0, rows)
    embed_source(few_model, source.path, tmp_path / "out")
    out = Store.open(tmp_path / "out").load()
    assert out.prediction is not None
    assert not out.image[0].any()
    assert not out.text[1].any()
    assert out.prediction[2] == ""
    assert out.prediction[0] != ""


def test_other_encoders_and_other_models_are_refused(
    few_store: Path, few_model: Path, few_embeddings: Path, tmp_path: Path
) -> None:
    other = random_store(tmp_path / "other")
    with pytest.raises(FingerprintError, match=r"image: the model and store .* vgg16 .* image-test"):
        embed_source(few_model, other.path, tmp_path / "out")
    fit_model(few_store, tmp_path / "m", FitConfig(dimension=64, hidden_units=16, epochs=1))
    with pytest.raises(FingerprintError, match=r"huse .* and huse"):
        embed_source(tmp_path / "m", few_store, few_embeddings)
    with pytest.raises(FingerprintError, match=r"huse .* and huse"):
        search_embeddings(tmp_path / "m", few_embeddings, text="cat")


def test_a_folder_that_is_no_source_is_named(few_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no pictures \(.*\) and no store\.json in this folder"):
        embed_source(few_model, tmp_path, tmp_path / "out")


def test_a_source_without_pictures_is_embedded(few_store: Path, few_model: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "m.csv", [{"text": "apple: a sweet fruit"}, {"text": "zebra: a wild animal"}])
    embed_source(few_model, tmp_path / "m.csv", tmp_path / "out")
    rows = Store.open(tmp_path / "out").load()
    assert rows.has_image.tolist() == [False, False]
    assert [str(label).split("/")[0] for label in rows.prediction] == ["food & drink", "animals & nature"]  # type: ignore[union-attr]


def test_search_finds_what_the_words_mean(few_emoji: Path, few_model: Path, few_embeddings: Path) -> None:
    model = huse.load(few_model)
    for words, label in (("flag of a country", "flags"), ("wild animal", "animals"), ("sweet fruit", "food")):
        hits = model.search(few_embeddings, text=words, k=5)
        assert [hit.label.split("/")[0].split(" ")[0] for hit in hits] == [label] * 5
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    fruit = next(row for row in read_csv(few_emoji) if row["label"].endswith("fruit"))
    hits = model.search(few_embeddings, image=few_emoji.parent / fruit["image"], gallery="image", k=1)
    assert (hits[0].key, round(hits[0].score, 2)) == (fruit["key"], 1.0)
    assert hits[0].caption == fruit["text"]


def test_search_equals_sorting_everything(few_model: Path, few_embeddings: Path) -> None:
    query = np.random.default_rng(0).normal(size=64)
    rows = Store.open(few_embeddings).load()
    scores = rows.text.astype(np.float32) @ query.astype(np.float32)
    expected = rows.key[np.argsort(-scores)][:12]
    assert [hit.key for hit in nearest(Store.open(few_embeddings), "text", query, 12)] == list(expected)
    assert len(nearest(Store.open(few_embeddings), "text", query, 1000)) == 42


def test_bad_queries_are_named(few_model: Path, few_embeddings: Path, tmp_path: Path) -> None:
    model = huse.load(few_model)
    (tmp_path / "x.jpg").write_text("words")
    for query, message in (
        ({}, "either a text or a picture"),
        ({"text": "a", "image": "b"}, "either a text or a picture"),
        ({"text": " "}, "text 0 of 1 is empty"),
        ({"text": "a", "k": 0}, "k is 0"),
        ({"image": tmp_path / "x.jpg"}, r"x\.jpg: not a picture"),
        ({"image": tmp_path / "y.jpg"}, "No such file"),
    ):
        with pytest.raises(QueryError, match=message):
            model.search(few_embeddings, **query)  # type: ignore[arg-type]


def test_a_gallery_without_the_modality_is_named(few_model: Path, few_store: Path, tmp_path: Path) -> None:
    rows = Store.open(few_store).read(0)
    rows.has_image[:] = False
    source = Store.create(tmp_path / "source", Store.open(few_store).info)
    source.write(0, rows)
    embed_source(few_model, source.path, tmp_path / "out")
    with pytest.raises(QueryError, match="no row has a vector of modality image; try --gallery text"):
        search_embeddings(few_model, tmp_path / "out", text="cat")


def test_probabilities_and_one_sided_models(few_store: Path, few_model: Path, tmp_path: Path) -> None:
    probabilities = huse.load(few_model).classify_texts(["apple", "zebra"])
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    info = Store.open(few_store).info
    texts = Store.create(tmp_path / "texts", replace(info, image=None))
    rows = Store.open(few_store).load()
    texts.write(0, replace(rows, image=np.zeros((len(rows), 0)), has_image=np.zeros(len(rows), bool), failures=[]))
    classes = Store.open(few_store).read_classes()
    assert classes is not None
    texts.write_classes(classes)
    fit_model(texts.path, tmp_path / "m", FitConfig(dimension=16, hidden_units=16, epochs=2))
    model = huse.load(tmp_path / "m")
    assert model.embed_texts(["apple"]).shape == (1, 16)
    with pytest.raises(ModelError, match="no image tower"):
        model.embed_images([b""])


def test_a_search_over_many_shards_needs_one_in_memory(tmp_path: Path, few_model: Path) -> None:
    trained = huse.load(few_model).trained
    info = StoreInfo(EMBEDDINGS, trained.embedding_spec("image"), trained.embedding_spec("text"), 10)
    store = Store.create(tmp_path / "e", info)
    assert nearest(store, "image", np.ones(64), 3) == []


def test_new_rows_in_a_manifest_are_found(few_emoji: Path, few_model: Path, tmp_path: Path) -> None:
    rows = read_csv(few_emoji)
    for row in rows:
        row["image"] = str(few_emoji.parent / row["image"])
    manifest = write_csv(tmp_path / "m.csv", rows[:-1])
    embed_source(few_model, manifest, tmp_path / "out", ExtractConfig(batch_size=8))
    write_csv(manifest, rows)
    summary = embed_source(few_model, manifest, tmp_path / "out", ExtractConfig(batch_size=8))
    assert summary.extract is not None
    assert summary.extract.encoded == 1
    hits = search_embeddings(few_model, tmp_path / "out", text=rows[-1]["text"], gallery="text", k=1)
    assert hits[0].key == rows[-1]["key"]
