"""Merging and splitting copy every row as it is; leaks between splits are found."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import IMAGE_SPEC, TEXT_SPEC, random_rows, random_store

from huse.features.errors import FingerprintError, StoreError
from huse.features.exchange.merge_split import merge_stores, split_store
from huse.features.failure import Failure
from huse.features.info import FEATURES, StoreInfo
from huse.features.inspection import verify_store
from huse.features.leaks import Leak, find_leaks
from huse.features.rows import Rows
from huse.features.store import Store


def store_of(path: Path, rows: Rows, shard_size: int = 4, image: object = IMAGE_SPEC) -> Store:
    store = Store.create(path, StoreInfo(FEATURES, image, TEXT_SPEC, shard_size, "float32"))  # type: ignore[arg-type]
    store.write_all([rows])
    return store


def same(a: Rows, b: Rows) -> bool:
    ours, theirs = a.columns(), b.columns()
    return all(np.array_equal(ours[name], theirs[name]) for name in ours) and a.failures == b.failures


@settings(max_examples=25)
@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6), shard_size=st.integers(1, 7))
def test_rows_of_any_parts_fill_shards(
    sizes: list[int], shard_size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = random_rows(sum(sizes))
    rows.failures = [Failure(str(key), "read", "gone") for key in rows.key[::3]]
    bounds = np.cumsum([0, *sizes])
    store = Store.create(
        tmp_path_factory.mktemp("fill") / "s", StoreInfo(FEATURES, IMAGE_SPEC, TEXT_SPEC, shard_size, "float32")
    )
    parts = [rows.take(np.arange(a, b)) for a, b in pairwise(bounds)]
    assert store.write_all(parts) == len(rows)
    assert [len(store.read(i)) for i in store.shard_numbers()][:-1] == [shard_size] * max(
        -(-len(rows) // shard_size) - 1, 0
    )
    if len(rows):
        assert same(store.load(), rows)


def test_split_and_merge_give_back_all_rows(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s")
    assert split_store(store.path, tmp_path / "parts", parts=4) == {f"part-{i}": 15 for i in range(4)}
    assert merge_stores([tmp_path / "parts" / f"part-{i}" for i in range(4)], tmp_path / "m") == 60
    merged = Store.open(tmp_path / "m")
    assert same(merged.load(), store.load())
    assert merged.info == store.info
    assert verify_store(merged) == {}
    again = merge_stores([tmp_path / "parts" / f"part-{i}" for i in range(4)], tmp_path / "again")
    assert again == 60
    for entry in merged.path.iterdir():
        assert entry.read_bytes() == (tmp_path / "again" / entry.name).read_bytes()


def test_a_store_a_split(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s")
    assert split_store(store.path, tmp_path / "out") == {"test": 12, "train": 48}
    assert same(Store.open(tmp_path / "out" / "test").load(), store.load(("test",)))
    rows = random_rows(5)
    rows.split[:] = ""
    assert split_store(store_of(tmp_path / "n", rows).path, tmp_path / "none") == {"unsplit": 5}
    with pytest.raises(StoreError, match="60 rows, not enough for 61 parts"):
        split_store(store.path, tmp_path / "many", parts=61)
    with pytest.raises(StoreError, match="is there already"):
        split_store(store.path, tmp_path / "out")


def test_stores_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    first = store_of(tmp_path / "a", random_rows(5))
    with pytest.raises(StoreError, match=r"key 'row-00000' stands in .*a and .*b"):
        merge_stores([first.path, store_of(tmp_path / "b", random_rows(3)).path], tmp_path / "m")
    other = store_of(tmp_path / "c", random_rows(3), image=replace(IMAGE_SPEC, weights="1"))
    with pytest.raises(FingerprintError, match=r"image: stores .*a and .*c"):
        merge_stores([first.path, other.path], tmp_path / "m")
    assert not (tmp_path / "m").exists()
    with pytest.raises(StoreError, match="is there already"):
        merge_stores([first.path], other.path)


def test_classes_are_joined(tmp_path: Path) -> None:
    first, second = random_store(tmp_path / "a", n=6), random_store(tmp_path / "b", n=6)
    for store, labels in ((first, ["x", "y"]), (second, ["y", "z"])):
        classes = store.read_classes()
        assert classes is not None
        store.write_classes(replace(classes, labels=labels, texts=labels, vectors=classes.vectors[:2]))
    rows = second.load()
    rows.key[:] = [f"other {key}" for key in rows.key]
    second.write(0, rows)
    merge_stores([first.path, second.path], tmp_path / "m")
    merged = Store.open(tmp_path / "m").read_classes()
    assert merged is not None
    assert merged.labels == ["x", "y", "z"]
    assert merged.vectors.shape == (3, 4)


def test_class_vectors_stay_beside_rows_without_labels_and_are_not_left_out_unsaid(tmp_path: Path) -> None:
    first, bare = random_store(tmp_path / "a", n=6), random_rows(6)
    bare.key[:], bare.label[:] = [f"other {key}" for key in bare.key], ""
    none = store_of(tmp_path / "none", bare)
    merge_stores([first.path, none.path], tmp_path / "m")
    merged, own = Store.open(tmp_path / "m").read_classes(), first.read_classes()
    assert merged is not None
    assert own is not None
    assert merged.labels == own.labels
    bare.label[5] = "x"
    some = store_of(tmp_path / "some", bare)
    with pytest.warns(UserWarning, match=r"class vectors \(classes\.h5\) are left out: .*some has labels and none"):
        merge_stores([first.path, some.path], tmp_path / "n")
    assert Store.open(tmp_path / "n").read_classes() is None
    some.write_classes(replace(own, encoder="another"))
    with pytest.warns(UserWarning, match="are left out: they are of different encoders"):
        merge_stores([first.path, some.path], tmp_path / "o")


def test_leaks_are_images_or_texts_in_two_splits(tmp_path: Path) -> None:
    rows = random_rows(8)
    rows.split[:] = ["train", "test", "", "val", "train", "train", "test", "test"]
    rows.image.digest[1] = rows.image.digest[0]
    rows.image.digest[5] = rows.image.digest[4]  # within one split: no leak
    rows.text.digest[2] = rows.text.digest[6] = rows.text.digest[3]
    rows.image.digest[6] = rows.image.digest[7] = rows.image.digest[2] = 0  # images that were not there
    assert find_leaks(store_of(tmp_path / "s", rows)) == [
        Leak("image", [("row-00001", "test"), ("row-00000", "train")]),
        Leak("text", [("row-00006", "test"), ("row-00002", "train"), ("row-00003", "val")]),
    ]
    assert find_leaks(store_of(tmp_path / "clean", random_rows(8))) == []


def test_features_and_embeddings_do_not_mix(small_store: Store, tmp_path: Path) -> None:
    info = replace(small_store.info, kind="embeddings", image=replace(IMAGE_SPEC, name="huse"))
    embeddings = Store.create(tmp_path / "e", info)
    embeddings.write_all([small_store.read(0)])
    with pytest.raises(StoreError, match=r"holds embeddings .*; they do not mix"):
        merge_stores([small_store.path, embeddings.path], tmp_path / "out")
