"""Labels and masks of a fit come from reads that digests cover, of shards that are the store's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import random_store

from huse.features.errors import ShardError
from huse.features.modality import Pair
from huse.features.store import Store
from huse.train.data.batches import TrainingRows
from huse.train.data.catalog import Catalog
from huse.train.data.stream import StreamedRows


def streamed(store: Store) -> None:
    catalog = Catalog.of(store)
    texts = TrainingRows.empty(0, Pair(image=6, text=4), np.dtype("float32"))
    StreamedRows.of(store, catalog, texts, window=100).take(np.arange(len(catalog)))


@pytest.mark.parametrize("name", ["strings", "string_ends", "has_image", "has_text", "image", "text"])
def test_one_flipped_bit_is_refused(small_store: Store, name: str) -> None:
    streamed(small_store)
    path = small_store.shard_path(1)
    with h5py.File(path) as file:
        place = file[name].id.get_offset() + 2
    whole = bytearray(path.read_bytes())
    whole[place] ^= 1
    path.write_bytes(whole)
    with pytest.raises(ShardError, match=r"shard-00001\.h5"):
        streamed(small_store)


def copied(small_store: Store, other: Store) -> None:
    shutil.copy(other.shard_path(1), small_store.shard_path(1))


def moved(small_store: Store, other: Store) -> None:
    shutil.copy(small_store.shard_path(0), small_store.shard_path(1))


@pytest.mark.parametrize("change", [copied, moved])
def test_a_foreign_shard_is_refused(small_store: Store, tmp_path: Path, change: Callable[[Store, Store], None]) -> None:
    other = Store.create(tmp_path / "other", replace(small_store.info), origin="another")
    for index in range(3):
        other.write(index, small_store.read(index))
    change(small_store, other)
    with pytest.raises(ShardError, match="another store's"):
        Catalog.of(small_store)
    with pytest.raises(ShardError, match="another store's"):
        small_store.slice(1, ("image",), 0, 3)


def test_the_catalog_is_of_all_shards_and_leaves_out_test_rows(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s", n=60, shard_size=25)
    catalog = Catalog.of(store)
    assert len(catalog) == 48
    assert catalog.labels == ["things/class 0", "things/class 1", "things/class 2"]
    for index in (0, 1, 2):
        rows, mine = store.read(index), catalog.shard == index
        there = np.flatnonzero(rows.split != "test")
        assert list(catalog.position[mine]) == list(there)
        assert [catalog.labels[number] for number in catalog.label[mine]] == list(rows.label[there])
