from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huse.features.errors import ShardError
from huse.features.rows import Failure, Rows
from huse.features.shard import read_attributes, read_columns, read_shard, write_shard

ATTRIBUTES = {"kind": "features", "shard": 3}
text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)


def rows_of(n: int, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    rows = Rows.empty(n, 3, 5)
    rows.key[:] = [f"k{i}" for i in range(n)]
    rows.image = rng.normal(size=(n, 3)).astype(np.float32)
    rows.text = rng.normal(size=(n, 5)).astype(np.float32)
    rows.has_image[:] = rng.random(n) < 0.5
    return rows


def assert_same(a: Rows, b: Rows) -> None:
    assert a.failures == b.failures
    assert a.columns().keys() == b.columns().keys()
    for name, column in a.columns().items():
        np.testing.assert_array_equal(b.columns()[name], column, err_msg=name)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.lists(text, max_size=9, unique=True), caption=text, compression=st.sampled_from(["", "lzf", "gzip"]))
def test_what_is_written_is_read(tmp_path: Path, keys: list[str], caption: str, compression: str) -> None:
    rows = rows_of(len(keys))
    rows.key[:] = keys
    rows.caption[:] = [caption] * len(keys)
    rows.failures = [Failure(key, "decode", caption) for key in keys[:2]]
    write_shard(tmp_path / "s.h5", rows, ATTRIBUTES, "float32", compression)
    again, attributes = read_shard(tmp_path / "s.h5")
    assert_same(rows, again)
    assert attributes == {**ATTRIBUTES, "format_version": 1, "rows": len(keys)}
    assert [p.name for p in tmp_path.iterdir()] == ["s.h5"]


def test_same_rows_give_same_bytes_in_any_process(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", rows_of(50), ATTRIBUTES)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from test_shard import *;"
        "write_shard(Path(sys.argv[2]), rows_of(50), ATTRIBUTES)"
    )
    subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path / "b.h5")], check=True)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_any_flipped_bit_in_the_data_is_found(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    write_shard(path, rows_of(40), ATTRIBUTES)
    whole = path.read_bytes()
    places = []
    with h5py.File(path) as file:
        for name in ("key", "image", "text", "has_image", "image_digest"):
            chunk = file[name].id.get_chunk_info(0)
            places += [chunk.byte_offset, chunk.byte_offset + chunk.size // 2, chunk.byte_offset + chunk.size - 1]
    for place in places:
        broken = bytearray(whole)
        broken[place] ^= 0x10
        path.write_bytes(broken)
        with pytest.raises(ShardError, match=r"s\.h5"):
            read_shard(path)


def test_a_flipped_bit_anywhere_never_changes_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    rows = rows_of(6)
    write_shard(path, rows, ATTRIBUTES, "float32")
    whole = path.read_bytes()
    for place in range(0, len(whole), 97):
        broken = bytearray(whole)
        broken[place] ^= 0x04
        path.write_bytes(broken)
        try:
            again, _ = read_shard(path)
        except ShardError:
            continue
        assert_same(rows, again)  # the bit lay in padding


def test_truncated_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    write_shard(path, rows_of(20), ATTRIBUTES)
    whole = path.read_bytes()
    for content in (b"", b"not HDF5 at all", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(ShardError, match="cannot be read"):
            read_shard(path)
    with pytest.raises(ShardError, match="cannot be read"):
        read_shard(tmp_path / "absent.h5")


def test_other_versions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    write_shard(path, rows_of(2), ATTRIBUTES)
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = np.int64(99)
    with pytest.raises(ShardError, match="format version 99"):
        read_shard(path)


@pytest.mark.parametrize("kind", ["soft", "external", "virtual", "raw", "group"])
def test_data_outside_the_file_is_never_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.h5"
    write_shard(path, rows_of(4), ATTRIBUTES)
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["x"] = np.zeros((4, 3), np.float16)
        other.create_group("g")["key"] = np.zeros(0, "S1")
    (tmp_path / "secret.raw").write_bytes(bytes(24))
    with h5py.File(path, "a") as file:
        if kind == "group":
            del file["failures"]
            file["failures"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/g")
        else:
            del file["image"]
        if kind == "soft":
            file["image"] = h5py.SoftLink("/text")
        elif kind == "external":
            file["image"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/x")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((4, 3), np.float16)
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", (4, 3))
            file.create_virtual_dataset("image", layout)
        elif kind == "raw":
            file.create_dataset("image", (4, 3), np.float16, external=[(str(tmp_path / "secret.raw"), 0, 24)])
    with pytest.raises(ShardError, match="own data"):
        read_shard(path)


def test_vectors_that_do_not_fit_the_type_are_refused(tmp_path: Path) -> None:
    rows = rows_of(3)
    rows.image[1, 2] = 1e6
    with pytest.raises(ShardError, match=r"'k1'.*--dtype float32"):
        write_shard(tmp_path / "s.h5", rows, ATTRIBUTES, "float16")
    assert not list(tmp_path.iterdir())
    write_shard(tmp_path / "s.h5", rows, ATTRIBUTES, "float32")


def test_a_failed_write_leaves_the_old_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.h5"
    write_shard(path, rows_of(4), ATTRIBUTES)
    before = path.read_bytes()

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_shard(path, rows_of(9), ATTRIBUTES)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.h5"]


def test_columns_and_attributes_alone(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.h5", rows_of(4), ATTRIBUTES)
    columns = read_columns(tmp_path / "s.h5", ("key", "has_image"))
    assert list(columns) == ["key", "has_image"]
    assert list(columns["key"]) == ["k0", "k1", "k2", "k3"]
    assert read_attributes(tmp_path / "s.h5")["rows"] == 4
