from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import IMAGE_SPEC, TEXT_SPEC, random_rows, random_store

from huse.features.companions import ClassVectors, class_name, read_encoder_state, write_encoder_state
from huse.features.encoder_spec import imported_spec
from huse.features.errors import FingerprintError, ShardError, StoreError
from huse.features.failure import Failure
from huse.features.files.atomic import temporary_beside
from huse.features.info import EMBEDDINGS, FEATURES, StoreInfo
from huse.features.inspection import inspect_store, list_failures, verify_store
from huse.features.store import Store


def test_loads_all_rows_in_order_and_by_split(small_store: Store) -> None:
    rows = small_store.load()
    assert list(rows.key) == list(random_rows(60).key)
    np.testing.assert_allclose(rows.image.vectors, random_rows(60).image.vectors)
    test = small_store.load(("test",))
    assert set(test.split) == {"test"}
    assert len(test) == 12
    with pytest.raises(StoreError, match=r"no row of split val; the store has test, train"):
        small_store.load(("val",))


def test_reopening_checks_every_value(small_store: Store) -> None:
    assert Store.create(small_store.path, small_store.info).info == small_store.info
    with pytest.raises(StoreError, match="shard_size 25 not 26"):
        Store.create(small_store.path, replace(small_store.info, shard_size=26))
    other = replace(IMAGE_SPEC, weights="1")
    with pytest.raises(FingerprintError) as error:
        Store.create(small_store.path, replace(small_store.info, image=other))
    assert str(IMAGE_SPEC) in str(error.value)
    assert str(other) in str(error.value)


def test_refuses_what_is_not_a_store(tmp_path: Path, small_store: Store) -> None:
    with pytest.raises(StoreError, match=r"no store\.json"):
        Store.open(tmp_path / "nothing")
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="not a huse store"):
        Store.create(folder, StoreInfo(FEATURES, IMAGE_SPEC, None))
    started = tmp_path / "started"
    started.mkdir()
    temporary_beside(started / "store.json").write_text("{")
    assert Store.create(started, StoreInfo(FEATURES, IMAGE_SPEC, None)).shard_numbers() == []
    with pytest.raises(StoreError, match="holds features, this command needs embeddings"):
        Store.open(small_store.path, EMBEDDINGS)
    values = json.loads((small_store.path / "store.json").read_text())
    values["image"]["dimension"] = 7
    (small_store.path / "store.json").write_text(json.dumps(values))
    with pytest.raises(StoreError, match="was edited or damaged, its digest does not match"):
        Store.open(small_store.path)
    (small_store.path / "store.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        Store.open(small_store.path)
    with pytest.raises(StoreError, match=r"store\.json: lies in a file or is one; name the folder of a store"):
        Store.open(small_store.path / "store.json")


def test_a_shard_of_another_store_or_place_is_refused(small_store: Store, tmp_path: Path) -> None:
    shutil.copy(small_store.shard_path(0), small_store.shard_path(7))
    with pytest.raises(ShardError, match="shard is 0, the store has 7"):
        small_store.read(7)
    other = Store.create(tmp_path / "other", replace(small_store.info, image=replace(IMAGE_SPEC, name="else")))
    shutil.copy(small_store.shard_path(0), other.shard_path(0))
    with pytest.raises(ShardError, match="image_fingerprint"):
        other.read(0)


def test_verify_names_the_damaged_shard(small_store: Store) -> None:
    assert verify_store(small_store) == {}
    with h5py.File(small_store.shard_path(1)) as file:
        place = file["image"].id.get_offset()
    data = bytearray(small_store.shard_path(1).read_bytes())
    data[place] ^= 1
    small_store.shard_path(1).write_bytes(data)
    assert list(verify_store(small_store)) == ["shard-00001.h5"]


def test_inspect_counts(small_store: Store) -> None:
    values = inspect_store(small_store)
    assert values["rows"] == 60
    assert values["shards"] == 3
    assert values["splits"] == {"test": 12, "train": 48}
    assert values["classes"] == 3
    assert values["image"]["fingerprint"] == IMAGE_SPEC.fingerprint
    assert values["text"]["name"] == TEXT_SPEC.name
    assert len(small_store) == 60


def test_class_vectors_come_back(small_store: Store) -> None:
    classes = small_store.read_classes()
    assert classes is not None
    assert classes.labels == ["things/class 0", "things/class 1", "things/class 2"]
    assert classes.vectors.shape == (3, 4)
    assert class_name("things/class 0") == "class 0"


def test_zero_rows_are_legal(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s", StoreInfo(FEATURES, IMAGE_SPEC, TEXT_SPEC))
    store.write(0, random_rows(5).take(np.zeros(5, bool)))
    store.write_plan(1)
    assert len(store.load()) == 0
    assert inspect_store(store)["rows"] == 0


def test_the_plan_tells_what_is_missing_at_the_end(small_store: Store) -> None:
    assert (small_store.planned_shards(), small_store.missing_shards()) == (3, [])
    small_store.shard_path(2).unlink()
    assert list(verify_store(small_store)) == ["shard-00002.h5"]
    (small_store.path / "plan.json").write_text("{}")
    with pytest.raises(StoreError, match=r"plan\.json: damaged .* delete it"):
        small_store.load()


@pytest.mark.parametrize("change", ["lowered", "absent", "another store's"])
def test_a_plan_that_was_changed_hides_no_lost_shard(small_store: Store, tmp_path: Path, change: str) -> None:
    small_store.shard_path(2).unlink()
    plan = small_store.path / "plan.json"
    if change == "lowered":
        plan.write_text(plan.read_text().replace("3", "2", 1))
    elif change == "absent":
        plan.unlink()
    else:
        shutil.copy(random_store(tmp_path / "other", n=50).path / "plan.json", plan)
        small_store.identity = "0" * 32
    with pytest.raises(StoreError, match=r"plan\.json"):
        small_store.load()
    assert "plan.json" in verify_store(small_store)


def test_more_shards_than_the_plan_has_are_refused(small_store: Store) -> None:
    small_store.write(3, random_rows(4, seed=5))
    small_store.require_whole()
    small_store.write_plan(3)
    with pytest.raises(StoreError, match=r"shard-00003\.h5 is more than the plan has"):
        small_store.require_whole()
    assert list(verify_store(small_store)) == ["shard-00003.h5"]


def test_a_shard_of_another_store_of_the_same_encoders_is_refused(tmp_path: Path) -> None:
    info = StoreInfo(FEATURES, IMAGE_SPEC, TEXT_SPEC, 25, "float32")
    mine, other = (Store.create(tmp_path / name, info, origin=name) for name in ("mine", "other"))
    for store in (mine, other):
        store.write_all([random_rows(30)])
    shutil.copy(other.shard_path(1), mine.shard_path(1))
    with pytest.raises(ShardError, match="another store's"):
        mine.load()
    assert list(verify_store(mine)) == ["shard-00001.h5"]
    other.write_classes(ClassVectors(["a"], ["a"], np.ones((1, 4), np.float32), "x"))
    shutil.copy(other.path / "classes.h5", mine.path / "classes.h5")
    assert list(verify_store(mine)) == ["classes.h5", "shard-00001.h5"]
    again = Store.create(tmp_path / "again", info, origin="mine")
    again.write_all([random_rows(30)])
    for name in ("store.json", "plan.json", "shard-00000.h5"):
        assert (again.path / name).read_bytes() == (mine.path / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [("dtype", "int8"), ("shard_size", 0), ("shard_size", True), ("compression", "zip"), ("kind", "things")],
)
def test_values_that_no_store_has_are_refused(small_store: Store, name: str, value: object) -> None:
    with pytest.raises(StoreError, match=name):
        replace(small_store.info, **{name: value})
    file = small_store.path / "store.json"
    values = json.loads(file.read_text())
    for key in ("id", "digest"):
        values.pop(key)
    file.write_text(json.dumps({**values, "version": 1, name: value}))
    with pytest.raises(StoreError, match=name):
        Store.open(small_store.path)


def test_a_flipped_bit_in_any_companion_is_found(small_store: Store) -> None:
    write_encoder_state(small_store.path, {"words": ["a", "ü"], "idf": [1.5, 2.0]})
    expected = (small_store.info, small_store.planned_shards(), read_encoder_state(small_store.path))
    for name in ("store.json", "plan.json", "text_encoder.json"):
        whole = (small_store.path / name).read_bytes()
        for place in range(len(whole)):
            broken = bytearray(whole)
            broken[place] ^= 1 << place % 8
            (small_store.path / name).write_bytes(broken)
            try:
                store = Store.open(small_store.path)
                found = (store.info, store.planned_shards(), read_encoder_state(small_store.path))
            except StoreError:
                continue
            if name == "text_encoder.json" and found[2] != expected[2]:
                assert set(found[2]) != {"words", "idf"}  # no encoder takes it
                continue
            assert found == expected
        (small_store.path / name).write_bytes(whole)


def test_verify_covers_every_file_and_names_what_is_foreign(small_store: Store) -> None:
    write_encoder_state(small_store.path, {"words": ["a"]})
    for name in ("classes.h5", "text_encoder.json"):
        whole = (small_store.path / name).read_bytes()
        (small_store.path / name).write_bytes(whole[:-3])
        assert list(verify_store(small_store)) == [name]
        (small_store.path / name).write_bytes(whole)
    (small_store.path / "notes.txt").write_text("mine")
    for harmless in (".DS_Store", "search.html"):
        (small_store.path / harmless).write_bytes(b"")
    (problem,) = verify_store(small_store).values()
    assert problem == f"{small_store.path / 'notes.txt'}: no part of the store; move it away"


def test_what_an_encoder_has_learned_belongs_to_the_store(tmp_path: Path) -> None:
    learned = replace(TEXT_SPEC, name="use+tfidf:9")
    store = Store.create(tmp_path / "s", StoreInfo(FEATURES, None, learned))
    assert "missing, use+tfidf:9" in verify_store(store)["text_encoder.json"]
    write_encoder_state(store.path, {"words": ["a"]})
    assert "text_encoder.json" not in verify_store(store)
    imported = Store.create(tmp_path / "i", StoreInfo(FEATURES, None, imported_spec("text", 9, "tfidf:9")))
    assert "text_encoder.json" not in verify_store(imported)


def damage_vectors(store: Store, index: int) -> None:
    """A shard whose vectors cannot be read, and all else can."""
    path = store.shard_path(index)
    content = bytearray(path.read_bytes())
    for _, its in store.read(index).modalities.items():
        content[content.index(its.vectors.tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(ShardError, match="does not match its digest"):
        store.read(index)


def test_a_split_is_loaded_without_the_vectors_of_the_others(small_store: Store) -> None:
    rows = random_rows(60)
    rows.split[:] = ["test" if i >= 50 else "train" for i in range(60)]
    for index in range(3):
        small_store.write(index, rows.take(np.arange(25 * index, min(60, 25 * index + 25))))
    for index in (0, 1):
        damage_vectors(small_store, index)
    assert list(small_store.load(("test",)).key) == list(rows.key[50:])


def test_failures_are_read_without_vectors(small_store: Store) -> None:
    rows = small_store.read(1)
    rows.failures = [Failure(str(rows.key[0]), "decode", "cannot be decoded")]
    small_store.write(1, rows)
    damage_vectors(small_store, 1)
    assert list_failures(small_store) == rows.failures


def test_stores_of_version_1_open_and_grow() -> None:
    store = Store.open(Path(__file__).with_name("shards") / "version_1")
    assert verify_store(store) == {}
    rows = store.load()
    assert list(rows.key) == [f"row-{i:05d}" for i in range(7)]
    np.testing.assert_array_equal(rows.image.vectors, random_rows(7).image.vectors)
    assert rows.failures == list_failures(store) == [Failure("row-00004", "decode", "cannot be decoded: ü")]
    assert list(store.columns(1, ("caption",))["caption"]) == list(random_rows(7).caption[4:])
    assert read_encoder_state(store.path) == {"words": ["a", "b"], "idf": [1.0, 2.0]}
    classes = store.read_classes()
    assert classes is not None
    assert len(classes.labels) == 3
    assert inspect_store(store)["failures"] == 1


def test_shards_of_both_versions_stand_side_by_side(tmp_path: Path) -> None:
    store = Store.open(shutil.copytree(Path(__file__).with_name("shards") / "version_1", tmp_path / "store"))
    rows = store.read(0)
    store.write(0, rows)
    assert store.read(0).holds_the_same_as(rows)
    assert verify_store(store) == {}


def test_verify_covers_the_features_and_the_index_of_embeddings(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "out", StoreInfo(EMBEDDINGS, IMAGE_SPEC, TEXT_SPEC))
    store.write_all([random_rows(5)])
    features = random_store(tmp_path / "out" / "features")
    index = store.path / "index" / "image-hnsw.faiss"
    index.parent.mkdir()
    index.write_bytes(b"an index")
    described = {"file": hashlib.sha256(b"an index").hexdigest()}
    index.with_suffix(".json").write_text(json.dumps(described))
    assert verify_store(store) == {}
    index.write_bytes(b"another")
    features.shard_path(1).unlink()
    problems = verify_store(store)
    assert list(problems) == ["index/image-hnsw.faiss", "features/shard-00001.h5"]
    assert "does not match its digest" in problems["index/image-hnsw.faiss"]
    index.with_suffix(".json").write_text("{")
    assert "description is missing or damaged" in verify_store(store)["index/image-hnsw.faiss"]


def test_a_flipped_bit_in_class_vectors_is_found(small_store: Store) -> None:
    path = small_store.path / "classes.h5"
    whole, expected = path.read_bytes(), small_store.read_classes()
    assert expected is not None
    for place in range(0, len(whole), 53):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            found = small_store.read_classes()
        except ShardError:
            continue
        assert found is not None
        assert (found.labels, found.texts, found.encoder) == (expected.labels, expected.texts, expected.encoder)
        np.testing.assert_array_equal(found.vectors, expected.vectors)


def test_many_shards_are_written_at_once_and_leftovers_removed(small_store: Store) -> None:
    host, pid, began, rest = temporary_beside(small_store.shard_path(7)).name.rsplit("-", 3)
    left = small_store.path / f"{host}-{pid}-{int(began) + 1}-{rest}"  # of a dead process that had this number
    left.write_text("")
    Store.open(small_store.path).write_many({index: random_rows(4, seed=index) for index in range(3, 9)})
    small_store.write_plan(9)
    assert verify_store(small_store) == {}
    assert len(small_store.load()) == 60 + 24
    assert not left.exists()
