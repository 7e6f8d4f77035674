"""A store of objects is what a store of files is, byte for byte, and whatever is damaged or missing there is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from samples import random_rows, random_store

from huse.features.errors import ShardError, StoreError
from huse.features.exchange.interchange import export_store, import_store
from huse.features.exchange.merge_split import merge_stores, split_store
from huse.features.files.cache import local_copy
from huse.features.files.place import place
from huse.features.files.put import objects_below
from huse.features.inspection import inspect_store, verify_store
from huse.features.removal import remove_store
from huse.features.shards.shard import read_attributes
from huse.features.store import Store


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    return f"memory://stores/{request.node.name}"


def content(folder: str | Path) -> dict[str, bytes]:
    if isinstance(folder, str):
        return {name: (place(folder) / name).read_bytes() for name in objects_below(place(folder))}
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_store_by_url_has_the_bytes_of_one_on_disk(url: str, tmp_path: Path) -> None:
    here, there = random_store(tmp_path / "store"), random_store(url)
    assert content(url) == content(tmp_path / "store")
    assert verify_store(Store.open(url)) == {}
    assert len(there) == len(here) == 60
    assert {**inspect_store(there), "path": ""} == {**inspect_store(here), "path": ""}
    np.testing.assert_array_equal(Store.open(url).load(("test",)).image.vectors, here.load(("test",)).image.vectors)


def test_merging_splitting_importing_and_exporting(url: str, tmp_path: Path) -> None:
    random_store(tmp_path / "store")
    for base in (f"{url}/", f"{tmp_path}/by-path/"):
        assert merge_stores([tmp_path / "store"], f"{base}merged") == 60
        assert split_store(f"{base}merged", f"{base}split") == {"test": 12, "train": 48}
        assert export_store(f"{base}split/train", f"{base}arrays") == 48
        assert export_store(f"{base}merged", f"{base}all.parquet") == 60
        files = {"image": f"{base}arrays/image.npy", "labels": f"{base}arrays/label.txt"}
        assert import_store(f"{base}imported", text=f"{base}arrays/text.npy", **files) == 48
    assert content(url) == content(tmp_path / "by-path")


def test_what_is_there_is_not_written_over(url: str) -> None:
    random_store(url)
    for out in (url, f"{url}/inside"):
        with pytest.raises(StoreError, match=r"is there already|lies in|is what is read"):
            merge_stores([url], out)


def test_a_shard_whose_plan_came_first_is_missed_when_it_was_not_put(url: str) -> None:
    store = random_store(url)
    store.shard_path(1).unlink()
    with pytest.raises(StoreError, match=r"shards are missing, 1 of 3, the first is shard-00001\.h5"):
        Store.open(url).require_whole()
    assert list(verify_store(Store.open(url))) == ["shard-00001.h5"]


def test_a_damaged_copy_is_healed_and_a_damaged_object_is_told(url: str) -> None:
    store = random_store(url)
    path = store.shard_path(0)
    whole = path.read_bytes()
    copy = local_copy(path)
    copy.write_bytes(whole[: len(whole) // 2])
    assert len(store.slice(0, ("text",), 0, 5)["text"]) == 5
    assert copy.read_bytes() == whole
    for other in (store.shard_path(1), store.shard_path(2)):
        local_copy(other).write_bytes(whole[: len(whole) // 2])
    assert len(store.read(2)) == 10
    assert len(str(read_attributes(store.shard_path(1))["content_digest"])) == 64
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    path.fs.pipe_file(path.path, bytes(damaged))
    with pytest.raises(ShardError, match=rf"{path}: .*run the command that made it again"):
        Store.open(url).read(0)


def test_a_listing_holds_for_as_long_as_a_store_is_open(url: str) -> None:
    store = random_store(url, n=50)
    reader = Store.open(url)
    assert reader.shard_numbers() == [0, 1]
    store.write(2, random_rows(5, seed=7))
    assert reader.shard_numbers() == [0, 1]
    assert store.shard_numbers() == Store.open(url).shard_numbers() == [0, 1, 2]


def test_a_store_is_removed_with_store_json_last(url: str) -> None:
    random_store(url)
    (place(url)).fs.pipe_file(f"{place(url).path}/notes.txt", b"mine")
    with pytest.raises(StoreError, match=r"holds 'notes\.txt' too"):
        remove_store(url)
    (place(url) / "notes.txt").unlink()
    remove_store(url)
    assert objects_below(place(url)) == []


def test_what_is_no_store_is_told_with_its_url(url: str) -> None:
    with pytest.raises(StoreError, match=rf"^{url}: no store\.json there"):
        Store.open(url)
    place(url).fs.pipe_file(f"{place(url).path}/store.json", b"{")
    with pytest.raises(StoreError, match=rf"^{url}/store\.json: damaged"):
        Store.open(url)


@pytest.mark.parametrize("after", range(6))  # store.json, plan.json, class vectors and three shards
def test_a_store_that_is_half_put_is_refused_and_the_same_command_mends_it(
    after: int, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_store(tmp_path / "store")
    url = f"{url}-{after}"
    fs, count = type(place(url).fs), 0
    put = fs.put_file

    def killed(*arguments: object, **settings: object) -> None:
        nonlocal count
        if count == after:
            raise KeyboardInterrupt
        count += 1
        put(*arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(fs, "put_file", killed)
        with pytest.raises(KeyboardInterrupt):
            merge_stores([tmp_path / "store"], url)
    with pytest.raises(StoreError, match=r"no store\.json there|shards are missing|has no shard|plan\.json: missing"):
        Store.open(url).require_whole()
    assert merge_stores([tmp_path / "store"], url) == merge_stores([tmp_path / "store"], tmp_path / "merged")
    assert content(url) == content(tmp_path / "merged")
    with pytest.raises(StoreError, match="is there already"):
        merge_stores([tmp_path / "store"], url)
