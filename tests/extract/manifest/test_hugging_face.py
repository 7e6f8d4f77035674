"""Data sets as the hub has them: classes by name, images by feature, several files a split, by path and by URL."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pyarrow.parquet
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st

from huse.extract.manifest.hugging_face import class_names, image_column
from huse.extract.manifest.rows import Columns, Manifest, read_manifest
from huse.features.errors import ManifestError

NAMES = ["cat", "dog", "TV/Video"]
FEATURES = {
    "img": {"_type": "Image"},
    "label": {"names": NAMES, "_type": "ClassLabel"},
    "text": {"dtype": "string", "_type": "Value"},
}


def described(columns: dict[str, Any], features: dict[str, Any] = FEATURES) -> pyarrow.Table:
    table = pyarrow.table(columns)
    told = json.dumps({"info": {"features": features}})
    return table.replace_schema_metadata({"huggingface": told})


def images(*data: bytes) -> Any:
    return pyarrow.array([{"bytes": each, "path": f"{i}.png"} for i, each in enumerate(data)])


def written(path: Path, table: pyarrow.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path)
    return path


def shard(start: int, n: int = 2) -> pyarrow.Table:
    keys = range(start, start + n)
    return described({"key": [f"k{i}" for i in keys], "text": [f"t{i}" for i in keys], "label": [i % 3 for i in keys]})


@pytest.mark.parametrize("kind", [pyarrow.int64(), pyarrow.int8(), pyarrow.uint16()])
def test_class_labels_are_read_by_name(kind: Any, tmp_path: Path) -> None:
    numbers = [1, 0, 2, None if kind == pyarrow.uint16() else -1, None]
    column = pyarrow.array(numbers, kind)
    path = written(tmp_path / "m.parquet", described({"text": list("abcde"), "label": column}))
    manifest = read_manifest(path, Columns(label_separator=""))
    assert [row.label for row in manifest.rows()] == ["dog", "cat", "TV\u2215Video", "", ""]
    assert [row.label for row in read_manifest(path).rows()] == ["dog", "cat", "TV/Video", "", ""]


@pytest.mark.parametrize("number", [3, -2])
def test_a_class_without_a_name_is_told_with_its_row(number: int, tmp_path: Path) -> None:
    path = written(tmp_path / "m.parquet", described({"text": ["a", "b"], "label": [0, number]}))
    with pytest.raises(ManifestError, match=rf"m\.parquet:2: column 'label' holds class {number}, .* names 3, from 0"):
        read_manifest(path)


def test_labels_that_are_written_out_stay(tmp_path: Path) -> None:
    path = written(tmp_path / "m.parquet", described({"text": ["a", "b"], "label": ["x", None]}))
    assert [row.label for row in read_manifest(path).rows()] == ["x", ""]


def test_the_feature_image_is_the_column_of_images(tmp_path: Path) -> None:
    path = written(tmp_path / "m.parquet", described({"img": images(b"1", b"2"), "label": [0, 1]}))
    manifest = read_manifest(path)
    assert [(row.key, row.label) for row in manifest.rows()] == [("0.png", "cat"), ("1.png", "dog")]
    assert [manifest.image_bytes(row) for row in manifest.rows()] == [b"1", b"2"]
    named = read_manifest(path, Columns(image="img"))
    assert named.rows() == manifest.rows()


def test_a_column_that_is_called_image_is_it_whatever_others_are(tmp_path: Path) -> None:
    columns = {"img": images(b"1"), "image": images(b"2")}
    manifest = read_manifest(written(tmp_path / "m.parquet", described(columns)))
    assert manifest.image_bytes(manifest.rows()[0]) == b"2"


def test_of_two_features_image_one_is_to_be_named(tmp_path: Path) -> None:
    two = {"left": {"_type": "Image"}, "right": {"_type": "Image"}}
    path = written(tmp_path / "m.parquet", described({"left": images(b"1"), "right": images(b"2")}, two))
    with pytest.raises(ManifestError, match="no column 'image' or 'text' among left, right; name yours by image"):
        read_manifest(path)
    assert read_manifest(path, Columns(image="right")).rows()[0].has_image


words = st.sampled_from(["info", "features", "names", "_type", "a"])
said = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["Image", "ClassLabel"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=10,
)


@given(said=said, json_lines=st.booleans())
def test_whatever_is_said_of_features_is_no_reason_to_fail(said: Any, json_lines: bool) -> None:
    told = json.dumps({"info": {"features": said}} if json_lines else said)
    schema = pyarrow.schema([("a", pyarrow.int64())], metadata={"huggingface": told})
    assert all(isinstance(names, list) for names in class_names(schema).values())
    assert image_column(schema) in (None, "a")


def keys(manifest: Manifest) -> list[tuple[str, str]]:
    return [(row.key, row.split) for row in manifest.rows()]


NUMBERED = ["data/train-00000-of-00002", "data/train-00001-of-00002", "data/test-00000-of-00001"]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for i, name in enumerate(NUMBERED):
        written(tmp_path / "set" / f"{name}.parquet", shard(2 * i))
    (tmp_path / "set" / "README.md").write_text("about")
    return tmp_path / "set"


WHOLE = [("k4", "test"), ("k5", "test"), ("k0", "train"), ("k1", "train"), ("k2", "train"), ("k3", "train")]


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("", WHOLE),
        ("data", WHOLE),
        ("data/*.parquet", WHOLE),
        ("**/*.parquet", WHOLE),
        ("data/train-*.parquet", WHOLE[2:]),
        ("data/train-0000[1-9]-*.parquet", WHOLE[4:]),
        ("data/train-{00000..00001}-of-00002.parquet", WHOLE[2:]),
        ("data/{train-00001-of-00002,test-*}.parquet", [*WHOLE[4:], *WHOLE[:2]]),
        ("data/test-00000-of-00001.parquet", WHOLE[:2]),
    ],
)
def test_several_files_are_one_table_whose_names_say_the_split(
    inside: str, expected: list[tuple[str, str]], dataset: Path
) -> None:
    manifest = read_manifest(f"{dataset}/{inside}" if inside else dataset)
    assert keys(manifest) == expected
    assert manifest.rows()[0].label in NAMES[:2] or "/" in manifest.rows()[0].label


def test_a_column_says_the_split_before_a_name_does(dataset: Path) -> None:
    table = shard(10).append_column("split", pyarrow.array(["val", None]))
    written(dataset / "data" / "train-00002.parquet", table)
    assert keys(read_manifest(dataset))[-2:] == [("k10", "val"), ("k11", "train")]


def test_a_name_says_the_split_of_the_rows_without_one_whatever_their_order(tmp_path: Path) -> None:
    lines = ['{"text": "a"}', '{"text": "b", "split": "test"}', '{"text": "c"}']
    for name, its in (("train-0", lines), ("train-1", lines[::-1])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(its))
    rows = read_manifest(tmp_path / "train-*.jsonl").rows()
    assert [row.split for row in rows] == ["train", "test", "train"] * 2


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train/0.parquet", "validation/0.parquet"], ["train", "val"]),
        (["my-train.parquet", "my_Test2.parquet"], ["train", "test"]),
        (["default/train/0000.parquet", "default/dev/0000.parquet"], ["val", "train"]),
        (["latest.parquet", "train.parquet"], ["", ""]),
        (["train-test.parquet", "train.parquet"], ["", ""]),
        (["0.parquet", "1.parquet"], ["", ""]),
    ],
)
def test_names_say_the_split_of_all_files_or_of_none(names: list[str], splits: list[str], tmp_path: Path) -> None:
    for i, name in enumerate(names):
        written(tmp_path / "train" / "a" / name, shard(i, 1))
    assert [split for _, split in keys(read_manifest(tmp_path / "train" / "a"))] == splits


def test_names_that_say_no_split_are_told_where_others_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i, name in enumerate(("train", "test", "unsupervised")):
        written(tmp_path / f"{name}-00000-of-00001.parquet", shard(i, 1))
    assert {split for _, split in keys(read_manifest(tmp_path))} == {""}
    assert capsys.readouterr().err == (
        "names of files are taken for no splits, since unsupervised-00000-of-00001.parquet says none\n"
    )


def test_one_file_that_is_none_of_several_has_no_split_by_its_name(tmp_path: Path) -> None:
    assert keys(read_manifest(written(tmp_path / "test.parquet", shard(0, 1)))) == [("k0", "")]


def test_relative_images_start_from_the_folder_of_the_pattern(tmp_path: Path) -> None:
    for name in "ab":
        written(tmp_path / "data" / f"{name}.parquet", pyarrow.table({"image": [f"{name}.png"]}))
    data = tmp_path / "data"
    for source in (data, data / "*.parquet"):
        manifest = read_manifest(source)
        assert [manifest.location(row) for row in manifest.rows()] == [str(data / "a.png"), str(data / "b.png")]


def test_braces_that_stand_for_nothing_belong_to_the_folder(tmp_path: Path) -> None:
    written(tmp_path / "{raw}" / "t-0.parquet", pyarrow.table({"image": ["a.png"]}))
    for pattern in ("t-*.parquet", "t-{0..0}.parquet"):
        manifest = read_manifest(tmp_path / "{raw}" / pattern)
        assert manifest.location(manifest.rows()[0]) == str(tmp_path / "{raw}" / "a.png")


def test_other_formats_come_in_several_files_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,key\none,1\n")
    (tmp_path / "b.csv").write_text("key,text\n2,two\n3,three\n")
    assert [row.text for row in read_manifest(tmp_path / "*.csv").rows()] == ["one", "two", "three"]
    (tmp_path / "c.csv").write_text("key,text\n\n2,two\n")
    with pytest.raises(ManifestError, match=r"c\.csv:3: key '2' stands on line 2 of .*b\.csv already; make"):
        read_manifest(tmp_path / "*.csv")
    (tmp_path / "c.csv").write_text("key,text,split\n\n5,two,other\n")
    with pytest.raises(ManifestError, match=r"c\.csv:3: split 'other'"):
        read_manifest(tmp_path / "*.csv")
    (tmp_path / "c.csv").write_text("key,title\n5,two\n")
    with pytest.raises(ManifestError, match=r"c\.csv: no column 'image' or 'text' among key, title; leave it out"):
        read_manifest(tmp_path / "*.csv")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("absent-*.parquet", r"absent-\*\.parquet: fits no file"),
        ("x-{0..1}.parquet", r"x-0\.parquet: cannot be read \(.*No such file"),
        ("{a,b}/*.parquet", "fits no file"),
        ("data/*.md", "fits no file"),
        ("*.md", r"README\.md: unknown format '\.md'"),
    ],
)
def test_patterns_that_fit_nothing_of_use_are_told(pattern: str, message: str, dataset: Path) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifest(dataset / pattern)


def test_a_file_that_is_called_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    for name in ("a[1].csv", "a{1,2}.csv", "a*.csv"):
        (tmp_path / name).write_text("text\nx\n")
        assert len(read_manifest(tmp_path / name)) == 1


def test_empty_files_of_several_have_no_rows(tmp_path: Path) -> None:
    written(tmp_path / "a.parquet", shard(0, 0))
    with pytest.raises(ManifestError, match="has no rows"):
        read_manifest(tmp_path)
    written(tmp_path / "b.parquet", shard(0, 2))
    written(tmp_path / "c.parquet", shard(0, 0))
    assert keys(read_manifest(tmp_path)) == [("k0", ""), ("k1", "")]


class Hub(DirFileSystem):  # type: ignore[misc]
    """A folder of this machine, with the names of the hub."""

    protocol, sep = "hf", "/"
    root = ""

    def __init__(self, **settings: Any) -> None:
        super().__init__(path=self.root, fs=LocalFileSystem(), skip_instance_cache=True)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("hf://").strip("/")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Path]:
    """The folder of what stands on the hub."""
    before = fsspec.get_filesystem_class("hf")
    Hub.root = str(tmp_path / "hub")
    Hub.clear_instance_cache()
    fsspec.register_implementation("hf", Hub, clobber=True)
    yield tmp_path / "hub" / "datasets"
    fsspec.register_implementation("hf", before, clobber=True)


def test_a_data_set_of_the_hub(hub: Path) -> None:
    for repository in ("name", "name@v1"):
        for i, name in enumerate(NUMBERED):
            written(hub / "org" / repository / f"{name}.parquet", shard(2 * i))
        (hub / "org" / repository / "README.md").write_text("about")
        (hub / "org" / repository / "figure.png").write_bytes(b"of the description")
    assert keys(read_manifest("hf://datasets/org/name")) == WHOLE
    assert keys(read_manifest("hf://datasets/org/name@v1")) == WHOLE
    assert keys(read_manifest("hf://datasets/org/name/data/train-*.parquet")) == WHOLE[2:]
    assert keys(read_manifest("hf://datasets/org/name/data/test-00000-of-00001.parquet")) == WHOLE[:2]
    with pytest.raises(ManifestError, match=r"^hf://datasets/org/absent\.csv: cannot be read \(no such object\)"):
        read_manifest("hf://datasets/org/absent.csv")


def test_several_data_sets_of_a_repository_are_not_mixed(hub: Path) -> None:
    for i, name in enumerate(("coarse/train-0.parquet", "fine/train/0.parquet", "fine/test/1.parquet")):
        written(hub / "org" / "name" / name, shard(2 * i))
    with pytest.raises(ManifestError, match=r"holds several data sets, coarse, fine; name one, as hf://.*/fine$"):
        read_manifest("hf://datasets/org/name")
    assert len(read_manifest("hf://datasets/org/name/fine")) == 4


def test_without_the_package_of_the_hub_the_way_out_is_told() -> None:
    """In a process of its own, as what was imported once stays."""
    code = (
        "import sys; sys.modules['huggingface_hub'] = None; "
        "from huse.extract.manifest.rows import read_manifest; read_manifest('hf://datasets/org/name/x.parquet')"
    )
    told = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True).stderr
    expected = r"ExtraError: hf://datasets/org/name/x\.parquet: needs a package .*; pip install 'huse\[hf\]'$"
    assert re.search(expected, told.strip().splitlines()[-1])


@pytest.mark.parametrize("name", ["", "/data", "/data/*.parquet", "/data/train-{00000..00001}-of-00002.parquet"])
def test_several_files_by_url_are_those_on_disk(name: str, dataset: Path) -> None:
    url = f"memory://several-{len(name)}"
    store = fsspec.filesystem("memory")
    for file in dataset.rglob("*.*"):
        store.pipe_file(f"{url}/{file.relative_to(dataset)}", file.read_bytes())
    here, there = read_manifest(f"{dataset}{name}"), read_manifest(f"{url}{name}")
    assert there.rows() == here.rows()
    assert there.content == here.content
