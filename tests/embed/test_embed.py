"""Model, batch embedding and search on real emoji with real encoders."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest
from samples import random_store, read_csv, without_images, write_csv

import huse
from huse.embed.embed import embed_source
from huse.embed.files import fused_vectors
from huse.embed.refresh import embed_shards
from huse.embed.search.search import search_embeddings
from huse.extract.config import ExtractConfig
from huse.features.errors import FingerprintError, ManifestError, ModelError, QueryError, StoreError
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model
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
    assert ((picked.image.vectors.astype(np.float32) * images).sum(axis=1) > 0.999).all()
    assert ((picked.text.vectors.astype(np.float32) * texts).sum(axis=1) > 0.999).all()


def test_embeddings_carry_prediction_and_rows(few_store: Path, few_model: Path, few_embeddings: Path) -> None:
    source, rows = Store.open(few_store).load(), Store.open(few_embeddings).load()
    assert list(rows.key) == list(source.key)
    assert list(rows.caption) == list(source.caption)
    np.testing.assert_allclose(np.linalg.norm(rows.image.vectors.astype(np.float32), axis=1), 1, atol=2e-3)
    assert rows.prediction is not None
    assert rows.probability is not None
    assert np.mean(rows.prediction == rows.label) > 0.9
    assert ((rows.probability > 1 / 3) & (rows.probability <= 1)).all()
    assert set(rows.prediction) <= set(huse.load(few_model).classes)


def test_embedding_a_manifest_and_then_a_new_row_equals_embedding_the_store(
    few_emoji: Path, few_model: Path, few_embeddings: Path, tmp_path: Path
) -> None:
    rows = read_csv(few_emoji)[::3]
    for row in rows:
        row["image"] = str(few_emoji.parent / row["image"])
    manifest, out = tmp_path / "m.csv", tmp_path / "out"
    for some, expected in ((rows[:-1], (13, 13, 13)), (rows, (14, 1, 1)), (rows, (14, 0, 0))):
        write_csv(manifest, some)
        summary = embed_source(few_model, manifest, out, ExtractConfig(shard_size=4, batch_size=8))
        assert summary.extract is not None
        assert (summary.rows, summary.embedded, summary.extract.encoded) == expected
    ours, theirs = Store.open(out).load(), Store.open(few_embeddings).load().take(np.arange(0, 42, 3))
    assert list(ours.key) == list(theirs.key)
    np.testing.assert_allclose(ours.image.vectors.astype(float), theirs.image.vectors.astype(float), atol=2e-3)
    (hits,) = search_embeddings(huse.load(few_model), out, texts=[rows[-1]["text"]], gallery="text", k=1)
    assert hits[0].key == rows[-1]["key"]


def test_changed_rows_and_removed_shards_follow_the_source(few_store: Path, few_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(few_store, source)
    embed_source(few_model, source, tmp_path / "out")
    store = Store.open(source)
    store.shard_path(4).unlink()
    with pytest.raises(StoreError, match="shards are missing, 1 of 5"):
        embed_source(few_model, source, tmp_path / "out")
    store.write_plan(4)
    rows = store.read(1)
    rows.text.digest[3] += 1
    rows.text.vectors[3] = rows.text.vectors[4]
    store.write(1, rows)
    before = Store.open(tmp_path / "out").load()
    summary = embed_source(few_model, source, tmp_path / "out")
    assert (summary.rows, summary.embedded) == (40, 1)
    after = Store.open(tmp_path / "out").load()
    assert list(after.key) == list(store.load().key)
    changed = np.flatnonzero((after.text.vectors != before.text.vectors[:40]).any(axis=1))
    assert changed.tolist() == [13]
    np.testing.assert_allclose(after.text.vectors[13].astype(float), after.text.vectors[14].astype(float), atol=2e-3)
    kept = np.delete(np.arange(40), 13)
    np.testing.assert_array_equal(after.image.vectors[kept], before.image.vectors[kept])


def test_a_damaged_shard_of_embeddings_is_made_again(few_store: Path, few_model: Path, tmp_path: Path) -> None:
    embed_source(few_model, few_store, tmp_path / "out")
    before = Store.open(tmp_path / "out").load()
    victim = tmp_path / "out" / "shard-00001.h5"
    victim.write_bytes(victim.read_bytes()[:2000])
    assert embed_source(few_model, few_store, tmp_path / "out").embedded == 10
    after = Store.open(tmp_path / "out").load()
    assert after.key.tolist() == before.key.tolist()
    for modality, its in after.modalities.items():  # a product of fewer rows may end in another last digit
        np.testing.assert_allclose(its.vectors, before.modalities.of(modality).vectors, atol=1e-3)


@pytest.mark.parametrize("group_rows", [1, 25])
def test_shards_are_embedded_alike_in_groups_of_any_size(
    few_store: Path,
    few_model: Path,
    few_embeddings: Path,
    tmp_path: Path,
    group_rows: int,
) -> None:
    theirs = Store.open(few_embeddings)
    ours = Store.create(tmp_path / "out", theirs.info)
    assert embed_shards(load_model(few_model), Store.open(few_store), ours, group_rows) == (42, 42)
    assert ours.shard_numbers() == theirs.shard_numbers()
    for number in theirs.shard_numbers():
        mine, other = ours.read(number), theirs.read(number)
        assert list(mine.key) == list(other.key)
        np.testing.assert_allclose(mine.image.vectors.astype(float), other.image.vectors.astype(float), atol=2e-3)


@pytest.mark.parametrize("group_rows", [1, 1000])
def test_an_error_of_the_disk_reaches_the_caller(
    few_store: Path, few_model: Path, few_embeddings: Path, tmp_path: Path, group_rows: int
) -> None:
    class Full(Store):
        def put(self, files: Mapping[Path, bytes]) -> None:
            raise OSError(28, "No space left on device")

    target = Full(tmp_path, Store.open(few_embeddings).info)
    with pytest.raises(OSError, match="No space left"):
        embed_shards(load_model(few_model), Store.open(few_store), target, group_rows)
    assert target.shard_numbers() == []


def test_the_nightly_run_touches_what_changed(emoji: Path, few_model: Path, tmp_path: Path) -> None:
    """The texts of 150 emoji, of which 5 leave, 3 change and 10 are new."""
    rows = [{name: row[name] for name in ("key", "text", "label")} for row in read_csv(emoji)[:150]]
    manifest = write_csv(tmp_path / "m.csv", rows)
    config = ExtractConfig(shard_size=40)
    first = embed_source(few_model, manifest, tmp_path / "out", config)
    assert (first.rows, first.embedded) == (150, 150)
    before = Store.open(tmp_path / "out").load()
    changed = [rows[i] for i in (0, 25, 120)]
    for i, row in enumerate(changed):
        row["text"] = f"changed words {i}"
    added = [{"key": f"new-{i}", "text": f"submarine number {i} under the sea", "label": ""} for i in range(10)]
    left = {rows[i]["key"] for i in (7, 38, 39, 90, 149)}
    rows = [row for row in rows if row["key"] not in left] + added
    second = embed_source(few_model, write_csv(manifest, rows), tmp_path / "out", config)
    assert second.extract is not None
    assert (second.rows, second.embedded, second.extract.encoded) == (155, 13, 13)
    after = Store.open(tmp_path / "out").load()
    assert sorted(after.key) == sorted(row["key"] for row in rows)
    old = {key: before.text.vectors[i] for i, key in enumerate(before.key)}
    differ = {key for i, key in enumerate(after.key) if key not in old or (after.text.vectors[i] != old[key]).any()}
    assert differ == {row["key"] for row in (*changed, *added)}
    found = search_embeddings(
        huse.load(few_model), tmp_path / "out", texts=[row["text"] for row in added], gallery="text", k=1
    )
    assert all(hits[0].key.startswith("new-") and hits[0].score > 0.99 for hits in found)


@pytest.mark.parametrize("name", ["v.npy", "v.parquet"])
def test_one_file_with_one_vector_a_row(few_store: Path, few_model: Path, tmp_path: Path, name: str) -> None:
    summary = embed_source(few_model, few_store, tmp_path / name, fuse=True)
    assert (summary.rows, summary.embedded) == (42, 42)
    rows = Store.open(tmp_path / "v.store").load()
    if name == "v.npy":
        vectors = np.load(tmp_path / name)
        table = read_csv(tmp_path / "v.csv")
        keys, predictions = ([row[column] for row in table] for column in ("key", "prediction"))
    else:
        import pyarrow.parquet

        columns = pyarrow.parquet.read_table(tmp_path / name).to_pydict()
        vectors, keys, predictions = np.array(columns["vector"]), columns["key"], columns["prediction"]
    assert vectors.shape == (42, 64)
    assert keys == list(rows.key)
    assert predictions == list(rows.prediction)  # type: ignore[arg-type]
    total = rows.image.vectors.astype(float) + rows.text.vectors.astype(float)
    np.testing.assert_allclose(vectors, total / np.linalg.norm(total, axis=1, keepdims=True), atol=1e-3)
    assert embed_source(few_model, few_store, tmp_path / name, fuse=True).embedded == 0


def test_one_file_with_both_vectors(few_store: Path, few_model: Path, tmp_path: Path) -> None:
    import pyarrow.parquet

    embed_source(few_model, few_store, tmp_path / "v.parquet")
    columns = pyarrow.parquet.read_table(tmp_path / "v.parquet").to_pydict()
    rows = Store.open(tmp_path / "v.store").load()
    np.testing.assert_allclose(np.array(columns["text"]), rows.text.vectors.astype(float), atol=1e-6)
    for out, fuse, message in (("v.npy", False, "add fuse=True"), ("folder", True, "goes with a file")):
        with pytest.raises(QueryError, match=message):
            embed_source(few_model, few_store, tmp_path / out, fuse=fuse)


def test_a_fused_vector_is_what_there_is() -> None:
    rows = Rows.empty(3, 2, 2)
    rows.image.vectors[:] = [[1, 0], [0, 0], [0, 0]]
    rows.text.vectors[:] = [[0, 1], [0, -1], [0, 0]]
    root = 0.5**0.5
    np.testing.assert_allclose(fused_vectors(rows), [[root, root], [0, -1], [0, 0]], atol=1e-6)


def test_rows_without_a_modality_stay_without_it(few_store: Path, few_model: Path, tmp_path: Path) -> None:
    source = Store.create(tmp_path / "source", Store.open(few_store).info)
    rows = Store.open(few_store).read(0)
    rows.image.present[0] = rows.text.present[1] = rows.image.present[2] = rows.text.present[2] = False
    source.write(0, rows)
    embed_source(few_model, source.path, tmp_path / "out")
    out = Store.open(tmp_path / "out").load()
    assert out.prediction is not None
    assert not out.image.vectors[0].any()
    assert not out.text.vectors[1].any()
    assert out.prediction[2] == ""
    assert out.prediction[0] != ""


def test_other_encoders_and_other_models_are_refused(
    few_store: Path, few_model: Path, few_embeddings: Path, tmp_path: Path
) -> None:
    other = random_store(tmp_path / "other")
    with pytest.raises(FingerprintError, match=r"image: the model and store .* vgg16@96:blocks .* image-test"):
        embed_source(few_model, other.path, tmp_path / "out")
    fit_model(few_store, tmp_path / "m", FitConfig(dimension=64, hidden_units=16, epochs=1, refit=False))
    with pytest.raises(FingerprintError, match=r"another model's, huse .* this one makes huse .* \(--overwrite\)"):
        embed_source(tmp_path / "m", few_store, few_embeddings)
    with pytest.raises(FingerprintError, match="another model made these embeddings"):
        search_embeddings(huse.load(tmp_path / "m"), few_embeddings, texts=["cat"])


def test_a_folder_that_is_no_source_is_named(few_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no images and no store\.json in this folder"):
        embed_source(few_model, tmp_path, tmp_path / "out")


def test_a_source_without_images_is_embedded(few_store: Path, few_model: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "m.csv", [{"text": "apple: a sweet fruit"}, {"text": "zebra: a wild animal"}])
    embed_source(few_model, tmp_path / "m.csv", tmp_path / "out")
    rows = Store.open(tmp_path / "out").load()
    assert rows.image.present.tolist() == [False, False]
    assert [str(label).split("/")[0] for label in rows.prediction] == ["food & drink", "animals & nature"]  # type: ignore[union-attr]


def test_probabilities_and_one_sided_models(few_store: Path, few_model: Path, tmp_path: Path) -> None:
    probabilities = huse.load(few_model).classify_texts(["apple", "zebra"])
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    info = Store.open(few_store).info
    texts = Store.create(tmp_path / "texts", replace(info, image=None))
    rows = Store.open(few_store).load()
    texts.write(0, without_images(rows))
    classes = Store.open(few_store).read_classes()
    assert classes is not None
    texts.write_classes(classes)
    fit_model(texts.path, tmp_path / "m", FitConfig(dimension=16, hidden_units=16, epochs=2, refit=False))
    model = huse.load(tmp_path / "m")
    assert model.embed_texts(["apple"]).shape == (1, 16)
    with pytest.raises(ModelError, match="no image tower"):
        model.embed_images([b""])


def test_a_table_in_memory_is_embedded_as_its_file_is(
    few_emoji: Path, few_model: Path, few_embeddings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(few_emoji.parent)
    frame = pandas.read_csv(few_emoji, dtype=str)[:5]
    summary = embed_source(few_model, frame, tmp_path / "vectors.parquet", fuse=True)
    assert (summary.rows, summary.embedded) == (5, 5)
    found, expected = (
        Store.open(tmp_path / "vectors.store").load(),
        Store.open(few_embeddings).load().take(np.arange(5)),
    )
    assert list(found.key) == list(expected.key)
    np.testing.assert_array_equal(found.image.digest, expected.image.digest)
    np.testing.assert_allclose(fused_vectors(found), fused_vectors(expected), atol=0.02)
    assert embed_source(few_model, frame, tmp_path / "vectors.parquet", fuse=True).embedded == 0
