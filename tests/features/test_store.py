from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import IMAGE_SPEC, TEXT_SPEC, random_rows

from huse.features.atomic import temporary_beside
from huse.features.errors import FingerprintError, ShardError, StoreError
from huse.features.store import EMBEDDINGS, FEATURES, Store, StoreInfo, class_name


def test_loads_all_rows_in_order_and_by_split(small_store: Store) -> None:
    rows = small_store.load()
    assert list(rows.key) == list(random_rows(60).key)
    np.testing.assert_allclose(rows.image, random_rows(60).image)
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
    assert Store.create(started, StoreInfo(FEATURES, IMAGE_SPEC, None)).shard_indices() == []
    with pytest.raises(StoreError, match="holds features, this command needs embeddings"):
        Store.open(small_store.path, EMBEDDINGS)
    values = json.loads((small_store.path / "store.json").read_text())
    values["image"]["dimension"] = 7
    (small_store.path / "store.json").write_text(json.dumps(values))
    with pytest.raises(StoreError, match="image spec was edited"):
        Store.open(small_store.path)
    (small_store.path / "store.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        Store.open(small_store.path)


def test_a_shard_of_another_store_or_place_is_refused(small_store: Store, tmp_path: Path) -> None:
    shutil.copy(small_store.shard_path(0), small_store.shard_path(7))
    with pytest.raises(ShardError, match="shard is 0, the store has 7"):
        small_store.read(7)
    other = Store.create(tmp_path / "other", replace(small_store.info, image=replace(IMAGE_SPEC, name="else")))
    shutil.copy(small_store.shard_path(0), other.shard_path(0))
    with pytest.raises(ShardError, match="image_fingerprint"):
        other.read(0)


def test_verify_names_the_damaged_shard(small_store: Store) -> None:
    assert small_store.verify() == {}
    with h5py.File(small_store.shard_path(1)) as file:
        place = file["image"].id.get_chunk_info(0).byte_offset
    data = bytearray(small_store.shard_path(1).read_bytes())
    data[place] ^= 1
    small_store.shard_path(1).write_bytes(data)
    assert list(small_store.verify()) == ["shard-00001.h5"]


def test_inspect_counts(small_store: Store) -> None:
    values = small_store.inspect()
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
    assert len(store.load()) == 0
    assert store.inspect()["rows"] == 0


def test_the_plan_tells_what_is_missing_at_the_end(small_store: Store) -> None:
    assert (small_store.planned_shards(), small_store.missing_shards()) == (0, [])
    small_store.write_plan(3)
    assert small_store.missing_shards() == []
    small_store.shard_path(2).unlink()
    assert list(small_store.verify()) == ["shard-00002.h5"]
    (small_store.path / "plan.json").write_text("{}")
    with pytest.raises(StoreError, match=r"plan\.json: damaged .* delete it"):
        small_store.load()
