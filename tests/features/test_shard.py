from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huse.features import shard
from huse.features.errors import ShardError
from huse.features.rows import Failure, Rows
from huse.features.shard import read_attributes, read_columns, read_shard, read_slice, write_shard

ATTRIBUTES = {"kind": "features", "shard": 3}
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


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
    assert attributes == {**ATTRIBUTES, "format_version": 2, "rows": len(keys)}
    assert [p.name for p in tmp_path.iterdir()] == ["s.h5"]


def test_same_rows_give_same_bytes_in_any_process(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", rows_of(50), ATTRIBUTES)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from test_shard import *;"
        "write_shard(Path(sys.argv[2]), rows_of(50), ATTRIBUTES)"
    )
    subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path / "b.h5")], check=True)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("n", [40, 30_000], ids=["in one piece", "in chunks"])
def test_any_flipped_bit_in_the_data_is_found(tmp_path: Path, n: int) -> None:
    path = tmp_path / "s.h5"
    write_shard(path, rows_of(n), ATTRIBUTES)
    whole = path.read_bytes()
    places = []
    with h5py.File(path) as file:
        for name in file:
            dataset = file[name].id
            if dataset.get_create_plist().get_layout() == h5py.h5d.CHUNKED:
                chunk = dataset.get_chunk_info(0)
                at, size = chunk.byte_offset, chunk.size
            else:
                at, size = dataset.get_offset() or 0, dataset.get_storage_size()
            if size:
                places += [(name, place) for place in (at, at + size // 2, at + size - 1)]
    for name, place in places:
        broken = bytearray(whole)
        broken[place] ^= 0x10
        path.write_bytes(broken)
        with pytest.raises(ShardError, match=r"s\.h5"):
            read_shard(path)
        with pytest.raises(ShardError, match=r"s\.h5"):
            read_columns(path, (name.removesuffix("_ends"),))


def test_a_flipped_bit_anywhere_never_changes_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    rows = rows_of(6)
    rows.failures = [Failure("k1", "decode", "ü")]
    write_shard(path, rows, ATTRIBUTES, "float32")
    whole, (_, attributes) = path.read_bytes(), read_shard(path)
    names = ("key", "has_text", "image", "failure_reason")
    columns = read_columns(path, names)
    for place in range(0, len(whole), 61):
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8
        path.write_bytes(broken)
        shard._require_verified.cache_clear()  # the clock of the file system is too coarse for this loop
        try:
            again, found = read_shard(path)
            some = read_columns(path, names)
            part = read_slice(path, names, 2, 4)
        except ShardError:
            continue
        assert_same(rows, again)  # the bit lay in padding
        assert found == attributes
        for name in names:
            np.testing.assert_array_equal(some[name], columns[name])
            np.testing.assert_array_equal(part[name], columns[name][2:4])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(captions=st.lists(text, min_size=1, max_size=12), data=st.data())
def test_a_slice_is_a_part_of_its_column(tmp_path: Path, captions: list[str], data: st.DataObject) -> None:
    rows = rows_of(len(captions))
    rows.caption[:] = captions
    write_shard(tmp_path / "s.h5", rows, ATTRIBUTES, "float32")
    start = data.draw(st.integers(0, len(captions)))
    stop = data.draw(st.integers(start, len(captions) + 2))
    found = read_slice(tmp_path / "s.h5", ("caption", "image", "has_image"), start, stop)
    assert list(found["caption"]) == captions[start:stop]
    np.testing.assert_array_equal(found["image"], rows.image[start:stop])
    np.testing.assert_array_equal(found["has_image"], rows.has_image[start:stop])


def test_one_long_text_costs_its_own_bytes(tmp_path: Path) -> None:
    rows = rows_of(2000)
    write_shard(tmp_path / "short.h5", rows, ATTRIBUTES)
    rows.caption[7] = "long" * 75_000
    write_shard(tmp_path / "long.h5", rows, ATTRIBUTES)
    grown = (tmp_path / "long.h5").stat().st_size - (tmp_path / "short.h5").stat().st_size
    assert 300_000 <= grown < 400_000
    assert read_shard(tmp_path / "long.h5")[0].caption[7] == rows.caption[7]


def test_half_a_character_is_refused_by_name(tmp_path: Path) -> None:
    rows = rows_of(3)
    rows.key[1] = "half \ud800"
    with pytest.raises(ShardError, match=r"half .*lone surrogate"):
        write_shard(tmp_path / "s.h5", rows, ATTRIBUTES)


def test_a_column_that_declares_more_than_the_file_holds_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    write_shard(path, rows_of(4), ATTRIBUTES)
    with h5py.File(path, "a") as file:
        del file["image"]
        file.create_dataset("image", (4, 2**28), np.float16, chunks=(1, 2**20))
    with pytest.raises(ShardError, match="declares more than the file holds"):
        read_columns(path, ("image",))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("has_image", np.zeros(4, np.int64)),
        ("has_image", np.zeros(3, bool)),
        ("image", np.zeros((5, 3), np.float16)),
        ("image", np.zeros(4, np.float16)),
        ("image", np.zeros((4, 3), np.int8)),
        ("image_digest", np.zeros((4, 3), np.uint8)),
        ("key_ends", np.zeros(4, np.int32)),
    ],
)
def test_columns_of_another_type_or_shape_are_refused(tmp_path: Path, name: str, array: np.ndarray) -> None:
    path = tmp_path / "s.h5"
    write_shard(path, rows_of(4), ATTRIBUTES)
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = array
    with pytest.raises(ShardError, match=name):
        read_columns(path, (name.removesuffix("_ends"),))


def forged(path: Path, name: str, array: np.ndarray) -> None:
    """A shard whose digests are all right, with another array in it."""
    with h5py.File(path, "a") as file:
        digests = json.loads(file.attrs["digests"])
        del file[name]
        file[name] = array
        digests[name] = shard._digest(name, array)
        attributes = {n: v.decode() if isinstance(v, bytes) else int(v) for n, v in file.attrs.items()}
        attributes["digests"] = json.dumps(digests)
        file.attrs["digests"] = np.bytes_(attributes["digests"])
        file.attrs["content_digest"] = np.bytes_(shard._content_digest(attributes))


def test_vectors_that_are_not_finite_are_refused_though_their_digest_is_right(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.h5", rows_of(4), ATTRIBUTES)
    forged(tmp_path / "s.h5", "image", np.full((4, 3), np.nan, np.float16))
    with pytest.raises(ShardError, match="image holds vectors that are not finite"):
        read_shard(tmp_path / "s.h5")


@pytest.mark.parametrize("ends", [[9, 1, 2, 3], [1, 2, 3, 9], [-1, 2, 4, 8]])
def test_ends_that_fit_no_strings_are_refused(tmp_path: Path, ends: list[int]) -> None:
    write_shard(tmp_path / "s.h5", rows_of(4), ATTRIBUTES)
    forged(tmp_path / "s.h5", "key_ends", np.array(ends, np.int64))
    with pytest.raises(ShardError, match="do not end where they should"):
        read_shard(tmp_path / "s.h5")


def test_an_attribute_that_is_an_array_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.h5", rows_of(4), ATTRIBUTES)
    with h5py.File(tmp_path / "s.h5", "a") as file:
        file.attrs["rows"] = np.array([4, 4])
    with pytest.raises(ShardError, match="attribute rows"):
        read_shard(tmp_path / "s.h5")


def test_other_widths_and_types_than_the_stores_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.h5", rows_of(4), ATTRIBUTES, "float32")
    read_shard(tmp_path / "s.h5", {"image": 3, "text": 5}, "float32")
    with pytest.raises(ShardError, match="image vectors of length 3, not 4"):
        read_shard(tmp_path / "s.h5", {"image": 4, "text": 5}, "float32")
    with pytest.raises(ShardError, match="image vectors of float32, not float16"):
        read_shard(tmp_path / "s.h5", {"image": 3, "text": 5}, "float16")


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


@pytest.mark.parametrize("kind", ["soft", "external", "virtual", "raw"])
def test_data_outside_the_file_is_never_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.h5"
    write_shard(path, rows_of(4), ATTRIBUTES)
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["x"] = np.zeros((4, 3), np.float16)
    (tmp_path / "secret.raw").write_bytes(bytes(24))
    with h5py.File(path, "a") as file:
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


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_shard import ATTRIBUTES, rows_of, write_shard
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    write_shard(Path(sys.argv[2]), rows_of(20_000), ATTRIBUTES)
except OSError as error:
    print(error)
"""
    args = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path / "s.h5")]
    told = subprocess.run(args, capture_output=True, text=True, check=True).stdout
    assert "File too large" in told
    assert "s.h5" in told
    assert not list(tmp_path.iterdir())


def test_two_writers_of_one_shard_end_whole(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_shard import ATTRIBUTES, rows_of, write_shard
for _ in range(60):
    write_shard(Path(sys.argv[2]), rows_of(50), ATTRIBUTES)
"""
    args = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path / "s.h5")]
    writers = [subprocess.Popen(args) for _ in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert list(read_shard(tmp_path / "s.h5")[0].key) == list(rows_of(50).key)
    assert os.listdir(tmp_path) == ["s.h5"]
