"""Near duplicates are those that a plain loop over all pairs of rows finds, however little memory there is."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from command_line import ok
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import IMAGE_SPEC, TEXT_SPEC, random_rows, random_store, without_images

from huse.features.errors import StoreError
from huse.features.info import FEATURES, StoreInfo
from huse.features.near_duplicates import find_near_duplicates
from huse.features.rows import Rows
from huse.features.store import Store

Found = dict[tuple[str, frozenset[str]], float]


def store_of(path: Path, rows: Rows, shard_size: int = 4, image: bool = True) -> Store:
    store = Store.create(path, StoreInfo(FEATURES, IMAGE_SPEC if image else None, TEXT_SPEC, shard_size, "float32"))
    store.write_all([rows])
    return store


def cosine_of(a: list[float], b: list[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else -2.0


def by_a_plain_loop(rows: Rows, near: float) -> Found:
    found = {}
    for modality, its in rows.modalities.items():
        for i in range(len(rows)):
            for j in range(i):
                equal = its.digest[i].any() and list(its.digest[i]) == list(its.digest[j])
                apart = (rows.split[i] or "train") != (rows.split[j] or "train")
                if apart and not equal and its.present[i] and its.present[j]:
                    cosine = cosine_of(its.vectors[i].tolist(), its.vectors[j].tolist())
                    if cosine >= near - 1e-9:
                        found[modality, frozenset((rows.key[i], rows.key[j]))] = cosine
    return found


def some_rows(n: int, seed: int) -> Rows:
    """Rows of few directions and lengths, some of them absent, of zeros or of equal content; of two splits or more."""
    rng, rows = np.random.default_rng(seed), random_rows(n)
    rows.split[:] = ["test", "train", *rng.choice(["", "train", "val", "test"], n - 2)]
    rows.label[:] = rng.choice(["", "a", "b"], n)
    for _, its in rows.modalities.items():
        its.vectors[:] = rng.choice([0, 1e-30, 1, 3e30], (n, 1)) * rng.integers(-1, 3, its.vectors.shape)
        its.present[:] = rng.random(n) < 0.8
        its.vectors[~its.present] = 0
        its.digest[:] = rng.integers(0, 7, (n, 1))
    return rows


@settings(max_examples=25)
@given(
    n=st.integers(2, 20),
    seed=st.integers(0, 1000),
    near=st.sampled_from([0.1, 0.5, 0.77, 1.0]),
    shard_size=st.integers(1, 6),
    memory=st.sampled_from([1, 60, 1 << 20]),
)
def test_they_are_those_of_a_plain_loop(
    n: int, seed: int, near: float, shard_size: int, memory: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = some_rows(n, seed)
    store = store_of(tmp_path_factory.mktemp("near") / "s", rows, shard_size)
    expected = by_a_plain_loop(rows, near)
    found = find_near_duplicates(store, near, most=200, memory=memory)
    keyed = {(pair.modality, frozenset(key for key, *_ in pair.rows)): pair.cosine for pair in found.pairs}
    assert keyed == pytest.approx(expected, abs=2e-6)
    assert len(found.pairs) == len(expected) == sum(found.count.values())
    of = {key: (split or "train", label) for key, split, label in zip(rows.key, rows.split, rows.label, strict=True)}
    for pair in found.pairs:
        assert all(of[key] == (split, label) for key, split, label in pair.rows)
        assert pair.rows[0][1] < pair.rows[1][1]
        assert pair.labels_differ == ({label for *_, label in pair.rows} == {"a", "b"})
    for modality in ("image", "text"):
        cosines = [pair.cosine for pair in found.pairs if pair.modality == modality]
        assert cosines == sorted(cosines, reverse=True)
        near_rows = {key for which, keys in expected if which == modality for key in keys}
        for split, count in found.rows[modality].items():
            assert count == sum(of[key][0] == split for key in near_rows)


def test_the_nearest_are_named_and_all_are_counted(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s")
    everything = find_near_duplicates(store, 0.9, most=10_000)
    few = find_near_duplicates(store, 0.9, most=3, memory=200)
    assert few.count == everything.count
    assert few.rows == everything.rows
    for modality in ("image", "text"):
        nearest = [pair for pair in everything.pairs if pair.modality == modality]
        assert len(nearest) > 3
        assert [pair for pair in few.pairs if pair.modality == modality] == nearest[:3]


def test_a_store_of_texts_has_no_near_images(tmp_path: Path) -> None:
    store = store_of(tmp_path / "s", without_images(random_rows(20)), image=False)
    assert list(find_near_duplicates(store, 0.5).count) == ["text"]


@pytest.mark.parametrize("near", [0.0, -0.5, 1.01, math.nan])
def test_a_cosine_out_of_range_is_refused(tmp_path: Path, near: float) -> None:
    with pytest.raises(StoreError, match=r"\(--near\): it must be above 0 and at most 1"):
        find_near_duplicates(random_store(tmp_path / "s"), near)


def test_one_split_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    rows = random_rows(8)
    rows.split[:] = ["", "train"] * 4
    with pytest.raises(StoreError, match="all rows are of split train; near duplicates are looked for across splits"):
        find_near_duplicates(store_of(tmp_path / "s", rows), 0.9)


def test_the_command_lists_pairs_with_their_labels_where_these_differ(tmp_path: Path) -> None:
    rows = random_rows(6)
    rows.image.vectors[:] = np.eye(6)
    rows.text.vectors[:] = 0
    rows.image.vectors[4] = [1, 0.01, 0, 0, 0, 0]  # of the one test row
    store = store_of(tmp_path / "s", rows)
    told = ok("store", "leaks", store.path, "--near", 0.9).splitlines()
    assert told == [
        "0 images and 0 texts stand in more than one split",
        "image\t1.000\trow-00004 (test)\trow-00000 (train)\tthings/class 1 / things/class 0",
        "1 pair of images across splits with cosine 0.9 or more, of these rows: 1 of test, 1 of train",
        "0 pairs of texts across splits with cosine 0.9 or more",
    ]
    near = json.loads(ok("store", "leaks", store.path, "--near", 0.9, "--most", 1, "--json"))["near"]
    assert near["count"] == {"image": 1, "text": 0}
    assert near["pairs"][0]["cosine"] == pytest.approx(0.99995)
    assert near["pairs"][0]["labels_differ"]
