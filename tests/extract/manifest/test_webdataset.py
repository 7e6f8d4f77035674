"""WebDataset tars: the files of one name are a row."""

from __future__ import annotations

import gzip
import json
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from tars import write_tar

from huse.extract.manifest.rows import Columns, read_manifest
from huse.extract.manifest.spool import ManifestRow
from huse.features.errors import ManifestError

FILES = {
    "a/0001.jpg": b"one",
    "a/0001.txt": b"first\n",
    "a/0001.cls": b"3\n",
    "a/0002.PNG": b"two",
    "a/0002.json": json.dumps({"text": "second", "label": "x/y", "split": "test", "boxes": [1]}).encode(),
    "b.c/0003.txt": "dritte ü".encode(),
    "b.c/0004.seg.png": b"mask",
    "b.c/0004.webp": b"four",
    "b.c/0004.caption.txt": b"other",
    "b.c/0004.flac": b"sound",
}
ROWS = [
    ManifestRow("a/0001", "x 1.tar/a/0001.jpg", "first", "3", ""),
    ManifestRow("a/0002", "x 1.tar/a/0002.PNG", "second", "x/y", "test"),
    ManifestRow("b.c/0003", "", "dritte ü", "", ""),
    ManifestRow("b.c/0004", "x 1.tar/b.c/0004.seg.png", "", "", ""),
]
DATA = [b"one", b"two", b"", b"mask"]


def contents(manifest: Any) -> list[bytes]:
    return [manifest.image_bytes(row) if row.has_image else b"" for row in manifest.rows()]


def test_the_files_of_a_name_are_a_row(tmp_path: Path) -> None:
    manifest = read_manifest(write_tar(tmp_path / "x 1.tar", FILES))
    assert manifest.rows() == ROWS
    assert not any(row.held for row in manifest.rows())
    assert contents(manifest) == DATA
    assert manifest.location(manifest.rows()[0]) == str(tmp_path / "x 1.tar" / "a" / "0001.jpg")


@pytest.mark.parametrize("name", ["x 1.tar.gz", "x 1.tgz"])
def test_a_compressed_tar_holds_its_images(name: str, tmp_path: Path) -> None:
    manifest = read_manifest(write_tar(tmp_path / name, FILES, "w:gz"))
    expected = [ManifestRow(r.key, r.image.replace("x 1.tar", name), r.text, r.label, r.split) for r in ROWS]
    assert manifest.rows() == expected
    assert contents(manifest) == DATA


def test_columns_are_kinds_of_files_or_fields(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "x.tar", FILES)
    rows = read_manifest(tar, Columns(image="webp", text="caption.txt")).rows()
    assert (rows[3].image, rows[3].text) == ("x.tar/b.c/0004.webp", "other")
    files = {"1.jpg": b"1", "1.txt": b"a", "1.json": b'{"id": 7, "caption": "b", "path": "p", "kind": "c/d"}'}
    columns = Columns(text="caption", key="id", label="kind")
    assert read_manifest(write_tar(tar, files), columns).rows() == [ManifestRow("7", "x.tar/1.jpg", "b", "c/d", "")]
    with pytest.raises(ManifestError, match=r"no column 'titel' for text .*; it has jpg, txt, json, id, caption"):
        read_manifest(tar, Columns(text="titel"))


def test_a_field_that_is_a_list_is_refused_where_it_is_used(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "x.tar", FILES)
    with pytest.raises(ManifestError, match=r"x\.tar: a/0002\.json: column 'boxes' holds list; write one string"):
        read_manifest(tar, Columns(label="boxes"))


def test_names_of_any_kind(tmp_path: Path) -> None:
    latin = os.fsdecode(b"caf\xe9.jpg")
    files = {"./a b.jpg": b"1", "./._a b.jpg": b"hidden", "__MACOSX/a.jpg": b"hidden", "/abs.jpg": b"2", latin: b"3"}
    manifest = read_manifest(write_tar(tmp_path / "x.tar", files, kind=tarfile.GNU_FORMAT))
    assert [row.key for row in manifest.rows()] == ["a b", "abs", r"caf\xe9"]
    assert contents(manifest) == [b"1", b"2", b"3"]


def shards(folder: Path, n: int = 3) -> Path:
    for i in range(n):
        write_tar(folder / f"train-{i:05d}.tar", {f"{i}{j}.txt": b"text" for j in range(2)})
    return folder


@pytest.mark.parametrize("name", ["", "train-{00000..00002}.tar", "*.tar", "train-0000[0-2].tar"])
def test_many_tars(name: str, tmp_path: Path) -> None:
    manifest = read_manifest(shards(tmp_path / "a b") / name)
    assert [row.key for row in manifest.rows()] == ["00", "01", "10", "11", "20", "21"]
    assert {row.split for row in manifest.rows()} == {"train"}
    url = "memory://tars-" + str(len(name))
    for file in (tmp_path / "a b").iterdir():
        fsspec.filesystem("memory").pipe_file(f"{url}/{file.name}", file.read_bytes())
    there = read_manifest(f"{url}/{name}".rstrip("/"))
    assert there.rows() == manifest.rows()


def test_images_of_many_tars_are_named_from_their_folder(tmp_path: Path) -> None:
    write_tar(tmp_path / "set" / "a" / "1.tar", {"x.jpg": b"1"})
    write_tar(tmp_path / "set" / "b" / "1.tar", {"y.jpg": b"2"})
    for source in (tmp_path / "set", tmp_path / "set" / "*" / "*.tar"):
        manifest = read_manifest(source)
        assert [row.image for row in manifest.rows()] == ["a/1.tar/x.jpg", "b/1.tar/y.jpg"]
        assert contents(manifest) == [b"1", b"2"]


def test_a_key_that_stands_twice_is_told_with_both_tars(tmp_path: Path) -> None:
    write_tar(tmp_path / "1.tar", {"x.jpg": b"1", "y.jpg": b"1"})
    write_tar(tmp_path / "2.tar", {"y.jpg": b"2"})
    with pytest.raises(ManifestError, match=r"2\.tar:1: key 'y' stands on line 2 of .*1\.tar already; .*--key-column"):
        read_manifest(tmp_path)
    tar = write_tar(tmp_path / "3.tar", {"x.jpg": b"1", "y.jpg": b"1", "x.txt": b"a"})
    with pytest.raises(ManifestError, match=r"3\.tar:3: key 'x' stands on line 1 already; sort its names"):
        read_manifest(tar)


def test_empty_tars(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {})
    with pytest.raises(ManifestError, match="has no rows"):
        read_manifest(tmp_path / "a.tar")
    write_tar(tmp_path / "b.tar", {"x.txt": b"a"})
    assert len(read_manifest(tmp_path)) == 1
    (tmp_path / "c.tar").write_bytes(b"")
    with pytest.raises(ManifestError, match=r"c\.tar: not a tar file, or damaged \(empty file\)"):
        read_manifest(tmp_path / "c.tar")
    with pytest.raises(ManifestError, match=r"c\.tar: not a tar file"):
        read_manifest(tmp_path)


def test_wherever_a_tar_is_cut_off_that_is_told(tmp_path: Path) -> None:
    """A row less would be a row that has left the manifest, whose vectors go."""
    whole = write_tar(tmp_path / "x.tar", FILES).read_bytes()
    with tarfile.open(tmp_path / "x.tar") as tar:
        tar.getmembers()
        end = tar.offset
    for length in [*range(0, end, 256), end, end + 100, end + 511]:
        (tmp_path / "y.tar").write_bytes(whole[:length])
        (tmp_path / "y.tgz").write_bytes(gzip.compress(whole[:length], 1))
        with pytest.raises(ManifestError, match=r"y\.tgz: (not a tar file, or )?damaged"):
            read_manifest(tmp_path / "y.tgz")
        with pytest.raises(
            ManifestError, match=r"y\.tar: (not a tar file, or )?damaged.*copy or pack it again, or leave"
        ):
            read_manifest(tmp_path / "y.tar")
    for length in (end + 512, len(whole)):
        (tmp_path / "y.tar").write_bytes(whole[:length])
        assert len(read_manifest(tmp_path / "y.tar")) == 4
    (tmp_path / "z.tar.gz").write_bytes(gzip.compress(whole)[:-20])
    with pytest.raises(ManifestError, match=r"z\.tar\.gz: the gzip file is cut off or damaged"):
        read_manifest(tmp_path / "z.tar.gz")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("damage", ["header", "joined"])
def test_rows_are_not_lost_behind_what_looks_like_the_end(
    pack: Callable[[bytes], bytes], damage: str, tmp_path: Path
) -> None:
    whole = bytearray(write_tar(tmp_path / "x.tar", {"a.txt": b"1", "b.txt": b"2"}).read_bytes())
    if damage == "header":
        whole[1024 + 5] ^= 1  # the second one
    path = tmp_path / ("y.tar" if pack is bytes else "y.tgz")
    path.write_bytes(pack(bytes(whole if damage == "header" else 2 * whole)))
    message = {"header": "damaged .*bad checksum", "joined": "damaged after row 1 .*tars that were joined"}[damage]
    with pytest.raises(ManifestError, match=message):
        read_manifest(path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.json": b"{"}, r"x\.tar: a\.json is not JSON"),
        ({"a.json": b"[1]"}, r"x\.tar: a\.json is not a JSON object"),
        ({"a.json": b"\xff\xfe"}, r"x\.tar: a\.json is not JSON"),
        ({"a.json": 100_000 * b"["}, r"x\.tar: a\.json is not JSON"),
        ({"a.mp3": b"1", "b": b"2"}, r"x\.tar: no column 'image' or 'text' among mp3, key"),
        ({"a.txt": b"1", "a.json": b'{"split": "x"}'}, r"x\.tar:1: split 'x'"),
    ],
)
def test_what_is_refused_says_where_and_why(files: dict[str, bytes], message: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=message) as raised:
        read_manifest(write_tar(tmp_path / "x.tar", files))
    assert "\n" not in str(raised.value)


def test_damaged_tars_are_rows_or_one_line(tmp_path: Path) -> None:
    rng, whole = random.Random(0), write_tar(tmp_path / "x.tar", FILES).read_bytes()
    messages = []
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 3, 30])):
            at = rng.randrange(len(FILES) * 1024)
            data[at : at + rng.choice([0, 1, 1, 500])] = bytes(rng.randrange(256) for _ in range(rng.randrange(4)))
        (tmp_path / "y.tar").write_bytes(data)
        try:
            read_manifest(tmp_path / "y.tar").rows()
        except ManifestError as error:
            messages.append(str(error))
    assert messages
    assert all("y.tar" in message and "\n" not in message for message in messages)


def test_memory_does_not_grow_with_a_tar(tmp_path: Path) -> None:
    import tracemalloc

    files = {f"{i:04}.jpg": os.urandom(50_000) for i in range(400)}
    tar = write_tar(tmp_path / "x.tar", files)
    tracemalloc.start()
    manifest = read_manifest(tar)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000
    assert manifest.image_bytes(manifest.rows([399])[0]) == files["0399.jpg"]
