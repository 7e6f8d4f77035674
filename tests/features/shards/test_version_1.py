"""Stores that huse wrote before format version 2 are read, and told from damaged ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import random_rows

from huse.features.errors import ShardError
from huse.features.failure import Failure
from huse.features.shards.shard import read_columns, read_shard, read_slice

OLD = Path(__file__).parent / "version_1"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "old"))


def test_rows_strings_and_failures_are_read() -> None:
    rows, attributes = read_shard(OLD / "shard-00001.h5")
    assert list(rows.key) == ["row-00004", "row-00005", "row-00006"]
    assert rows.failures == [Failure("row-00004", "decode", "cannot be decoded: ü")]
    assert attributes["shard"] == 1
    columns = read_slice(OLD / "shard-00001.h5", ("caption", "text"), 1, 3)
    assert list(columns["caption"]) == ["caption 5 ü", "caption 6 ü"]
    np.testing.assert_array_equal(columns["text"], random_rows(7).text.vectors[5:7])


def test_a_flipped_bit_is_found_by_every_read(old: Path) -> None:
    path = old / "shard-00000.h5"
    assert read_slice(path, ("has_text",), 0, 2)["has_text"].all()
    whole = path.read_bytes()
    with h5py.File(path) as file:
        place = file["has_text"].id.get_chunk_info(0).byte_offset
    for read in (
        lambda: read_shard(path),
        lambda: read_columns(path, ("has_text",)),
        lambda: read_slice(path, ("has_text",), 0, 2),
    ):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ShardError, match="cannot be read"):
            read()


def test_a_flipped_bit_anywhere_never_changes_what_is_read(old: Path) -> None:
    path = old / "shard-00001.h5"
    rows, _ = read_shard(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 211):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            again, _ = read_shard(path)
        except ShardError:
            continue
        assert rows.holds_the_same_as(again)


@pytest.mark.parametrize("name", ["text", "failures", "failures/reason"])
def test_links_are_refused(old: Path, name: str) -> None:
    path = old / "shard-00001.h5"
    shutil.copy(path, old / "other.h5")
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = h5py.ExternalLink(str(old / "other.h5"), f"/{name}")
    with pytest.raises(ShardError, match=f"{name.split('/')[-1]} is a link; shards must hold their own data"):
        read_shard(path)
