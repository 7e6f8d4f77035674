from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huse.features.errors import ShardError
from huse.features.failure import Failure
from huse.features.modality import Pair
from huse.features.rows import Rows
from huse.features.shards.shard import (
    attributes_digest,
    read_attributes,
    read_columns,
    read_shard,
    read_slice,
    shard_bytes,
    write_shard,
)
from huse.features.shards.version_2 import digest_of

ATTRIBUTES = {"kind": "features", "shard": 3}
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
captions = st.one_of(text, st.sampled_from(["", "\0", "a\0", "👩‍👩‍👧‍👦", "é" * 70_000]))


def rows_of(n: int, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    rows = Rows.empty(n, 3, 5)
    rows.key[:] = [f"k{i}" for i in range(n)]
    rows.image.vectors[:] = rng.normal(size=(n, 3))
    rows.text.vectors[:] = rng.normal(size=(n, 5))
    rows.image.present[:] = rng.random(n) < 0.5
    return rows


def assert_same(a: Rows, b: Rows) -> None:
    assert a.failures == b.failures
    assert a.columns().keys() == b.columns().keys()
    for name, column in a.columns().items():
        np.testing.assert_array_equal(b.columns()[name], column, err_msg=name)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.lists(text, max_size=9, unique=True), caption=captions, compression=st.sampled_from(["", "lzf", "gzip"]))
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


@pytest.mark.parametrize("compression", ["lzf", "gzip"])
def test_compression_compresses_vectors(tmp_path: Path, compression: str) -> None:
    rows = Rows.empty(500, 300, 200)
    rows.key[:] = [f"k{i}" for i in range(500)]
    for name in ("", compression):
        write_shard(tmp_path / f"s{name}.h5", rows, ATTRIBUTES, compression=name)
    assert (tmp_path / f"s{compression}.h5").stat().st_size < 0.3 * (tmp_path / "s.h5").stat().st_size


def test_what_cannot_be_written_names_file_key_and_column(tmp_path: Path) -> None:
    rows = rows_of(3)
    rows.text.vectors[1] = np.inf
    with pytest.raises(ShardError, match=r"s\.h5: text vector of key 'k1' is not finite as float16"):
        write_shard(tmp_path / "s.h5", rows, ATTRIBUTES)
    rows = rows_of(3)
    rows.key[2] = "\ud800"
    with pytest.raises(ShardError, match=r"s\.h5: key '\\ud800' holds half"):
        write_shard(tmp_path / "s.h5", rows, ATTRIBUTES)
    assert not list(tmp_path.iterdir())


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
        for dataset in file.values():
            start, size = dataset.id.get_offset(), dataset.nbytes
            places += [start, start + size // 2, start + size - 1]
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
            del file["has_text"]
            file["has_text"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/g/key")
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
    with pytest.raises(ShardError, match="own data"):
        read_columns(path, ("has_text" if kind == "group" else "image",))


def test_vectors_that_do_not_fit_the_type_are_refused(tmp_path: Path) -> None:
    rows = rows_of(3)
    rows.image.vectors[1, 2] = 1e6
    with pytest.raises(ShardError, match=r"'k1'.*dtype='float32'"):
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
    described = read_attributes(tmp_path / "s.h5")
    assert described["rows"] == 4
    with h5py.File(tmp_path / "s.h5") as file:
        assert described["content_digest"] == file.attrs["content_digest"].decode()
    in_memory, digest = shard_bytes(tmp_path / "s.h5", rows_of(4), ATTRIBUTES, "float16", "")
    assert in_memory == (tmp_path / "s.h5").read_bytes()
    assert digest == described["content_digest"]


def test_a_long_text_costs_its_own_bytes(tmp_path: Path) -> None:
    rows = rows_of(200)
    rows.caption[7] = "x" * 300_000
    write_shard(tmp_path / "s.h5", rows, ATTRIBUTES)
    assert (tmp_path / "s.h5").stat().st_size < 400_000
    assert read_slice(tmp_path / "s.h5", ("caption", "key"), 6, 9)["caption"][1] == "x" * 300_000


def test_half_a_surrogate_pair_becomes_a_mark(tmp_path: Path) -> None:
    rows = rows_of(2)
    rows.caption[:] = ["a\ud83d", "b"]
    rows.failures = [Failure("k0", "read", "no such file: \udcff.png")]
    write_shard(tmp_path / "s.h5", rows, ATTRIBUTES)
    again, _ = read_shard(tmp_path / "s.h5")
    assert list(again.caption) == ["a\ufffd", "b"]
    assert again.failures[0].reason == "no such file: \ufffd.png"


@pytest.mark.parametrize("compression", ["", "gzip"])
def test_slices_are_rows_of_columns(tmp_path: Path, compression: str) -> None:
    rows = rows_of(50)
    rows.caption[:] = [f"ü{i}" for i in range(50)]
    write_shard(tmp_path / "s.h5", rows, ATTRIBUTES, "float32", compression)
    names = ("key", "caption", "image", "has_image", "image_digest")
    for start, stop in [(0, 0), (0, 3), (7, 8), (49, 50), (40, 99), (60, 70), (0, None)]:
        found = read_slice(tmp_path / "s.h5", names, start, stop)
        for name in names:
            np.testing.assert_array_equal(found[name], rows.columns()[name][start:stop])


@pytest.mark.parametrize("name", ["key", "label", "image", "text", "has_text", "text_digest"])
def test_columns_and_slices_are_checked_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / "s.h5"
    rows = rows_of(40)
    rows.label[:] = "some label"
    write_shard(path, rows, ATTRIBUTES)
    assert len(read_slice(path, (name,), 3, 9)[name]) == 6
    whole = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        stored = file["strings" if name in ("key", "label") else name]
        place = stored.id.get_offset() + (stored.nbytes - 1 if name == "label" else 1)
    whole[place] ^= 1
    path.write_bytes(whole)
    for read in (lambda n: read_columns(path, n), lambda n: read_slice(path, n, 3, 9)):
        with pytest.raises(ShardError, match=f"{name} does not match its digest"):
            read((name,))
        assert len(read(("split",))["split"])


def damaged(path: Path, change: Callable[[h5py.File], None]) -> None:
    """Changes a shard and gives it right digests, as a stranger could."""
    with h5py.File(path, "a") as file:
        change(file)
        columns = json.loads(file.attrs["columns"])
        for name in {n for n in columns["digests"] if n in file and file[n].nbytes < 1 << 20}:
            columns["digests"][name] = digest_of(name, file[name][()])
        file.attrs["columns"] = np.bytes_(json.dumps(columns).encode())
        attributes = {
            k: v.decode() if isinstance(v, bytes) else int(v) for k, v in file.attrs.items() if not np.ndim(v)
        }
        file.attrs["content_digest"] = np.bytes_(attributes_digest(attributes).encode())


def replace(name: str, values: object, **options: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, data=values, **options)

    return change


def not_finite(file: h5py.File) -> None:
    file["image"][1, 0] = np.nan


def no_mask(file: h5py.File) -> None:
    file["has_image"].id.write(h5py.h5s.ALL, h5py.h5s.ALL, np.full(4, 7, np.int8), file["has_image"].id.get_type())


def huge(file: h5py.File) -> None:
    del file["image"]
    file.create_dataset("image", (4, 1 << 28), np.float16, chunks=(1, 1024))


def huge_and_empty(file: h5py.File) -> None:
    del file["image"]
    file.create_dataset("image", (4, 1 << 28), np.float16)


HOSTILE = {
    "not finite": (not_finite, "image holds vectors that are not finite"),
    "no mask": (no_mask, "has_image is no mask"),
    "huge": (huge, "declares 2147483648 bytes that are not in the file"),
    "huge and empty": (huge_and_empty, "declares 2147483648 bytes that are not in the file"),
    "other rows": (replace("image", np.zeros((5, 3), np.float16)), r"image is float16 of shape \(5, 3\)"),
    "other type": (replace("image", np.zeros((4, 3), np.int32)), r"image is int32"),
    "flat": (replace("text", np.zeros(4, np.float16)), r"text is float16 of shape \(4,\)"),
    "other mask": (replace("has_image", np.zeros(4, np.int64)), r"has_image is int64"),
    "strings": (replace("string_ends", np.zeros((2, 2), np.uint64)), r"string_ends has shape"),
    "more": (lambda file: file.create_dataset("more", data=1), "holds 9 objects"),
    "array attribute": (lambda file: file.attrs.create("kind", [1, 2]), "attribute kind is no string or integer"),
    "number for a string": (lambda file: file.attrs.create("rows", np.bytes_(b"x")), "rows is 'x'"),
    "real": (lambda file: file.attrs.create("rows", 4.0), "attribute rows is no string or integer"),
    "negative": (lambda file: file.attrs.create("rows", -1), "rows is -1"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_a_shard_declares_is_not_believed(tmp_path: Path, case: str) -> None:
    path = tmp_path / "s.h5"
    write_shard(path, rows_of(4), ATTRIBUTES)
    change, message = HOSTILE[case]
    damaged(path, change)
    for read in (
        lambda: read_shard(path, Pair(image=3, text=5)),
        lambda: read_columns(path, ("image", "has_image", "key", "text")),
        lambda: read_slice(path, ("image", "has_image", "key", "text"), 1, 2),
    ):
        with pytest.raises(ShardError, match=message) as error:
            read()
        assert "\n" not in str(error.value)


def test_other_widths_and_types_than_the_stores_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.h5", rows_of(4), ATTRIBUTES, "float32")
    read_shard(tmp_path / "s.h5", Pair(image=3, text=5), "float32")
    with pytest.raises(ShardError, match="image vectors of length 3, not 4"):
        read_shard(tmp_path / "s.h5", Pair(image=4, text=5), "float32")
    with pytest.raises(ShardError, match="image vectors of float32, not float16"):
        read_shard(tmp_path / "s.h5", Pair(image=3, text=5), "float16")


@pytest.mark.parametrize("ends", [[9, 1, 2, 3], [2, 4, 6, 99], [2**64 - 1, 2, 4, 8]])
def test_ends_that_fit_no_strings_are_refused(tmp_path: Path, ends: list[int]) -> None:
    path = tmp_path / "s.h5"
    write_shard(path, rows_of(4), ATTRIBUTES)

    def change(file: h5py.File) -> None:
        file["string_ends"][:4] = np.array(ends, np.uint64)

    damaged(path, change)
    for read in (
        lambda: read_shard(path),
        lambda: read_columns(path, ("key",)),
        lambda: read_slice(path, ("key",), 1, 3),
    ):
        with pytest.raises(ShardError, match=r"s\.h5"):
            read()


def test_a_key_of_half_a_character_is_refused_by_name(tmp_path: Path) -> None:
    rows = rows_of(3)
    rows.key[1] = "half \ud800"
    with pytest.raises(ShardError, match=r"half .*lone surrogate"):
        write_shard(tmp_path / "s.h5", rows, ATTRIBUTES)


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_shard import ATTRIBUTES, rows_of
from huse.features.shards.shard import write_shard
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_shard(Path(sys.argv[2]), rows_of(9000), ATTRIBUTES)
except OSError as error:
    print(error)
"""
    path = tmp_path / "s.h5"
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(path)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert run.stdout == f"[Errno 27] File too large: '{path}'\n"
    assert list(tmp_path.iterdir()) == []


def test_writers_of_one_shard_at_once_end_whole(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    code = """
import sys
from collections.abc import Callable
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_shard import ATTRIBUTES, rows_of
from huse.features.shards.shard import write_shard
for i in range(30):
    write_shard(Path(sys.argv[2]), rows_of(20, i), ATTRIBUTES)
"""
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(path)]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    errors = [writer.communicate()[1] for writer in writers]
    assert errors == [b"", b""]
    assert rows_of(20, 29).holds_the_same_as(read_shard(path)[0])
    assert [p.name for p in tmp_path.iterdir()] == ["s.h5"]
