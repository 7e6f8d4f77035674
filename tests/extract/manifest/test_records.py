"""The same rows in every format, and what is said of files that are damaged."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from huse.extract.manifest.rows import Columns, read_manifest
from huse.extract.manifest.spool import ManifestRow
from huse.features.errors import ManifestError

ROWS = [
    {"image": "a b.png", "text": 'says "hi", ü', "label": "x/y", "split": "train", "key": "1"},
    {"image": "", "text": "tab\there", "label": "", "split": "", "key": "2"},
    {"image": "c.png", "text": "", "label": "x/z", "split": "test", "key": "3"},
]
EXPECTED = [
    ManifestRow("1", "a b.png", 'says "hi", ü', "x/y", "train"),
    ManifestRow("2", "", "tab here", "", ""),
    ManifestRow("3", "c.png", "", "x/z", "test"),
]


def delimited(rows: list[dict[str, str]], delimiter: str) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def json_lines(rows: list[dict[str, str]]) -> bytes:
    sparse = ({name: value for name, value in row.items() if value} for row in rows)
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in sparse).encode()


def parquet(rows: list[dict[str, str]]) -> bytes:
    buffer = io.BytesIO()
    columns = {name: [row[name] or None for row in rows] for name in rows[0]}
    pyarrow.parquet.write_table(pyarrow.table({**columns, "extra": [b"\xff"] * len(rows)}), buffer)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[list[dict[str, str]]], bytes]] = {
    "csv": lambda rows: delimited(rows, ","),
    "tsv": lambda rows: delimited(rows, "\t"),
    "jsonl": json_lines,
    "parquet": parquet,
    "csv.gz": lambda rows: gzip.compress(delimited(rows, ",")),
    "tsv.gz": lambda rows: gzip.compress(delimited(rows, "\t")),
    "jsonl.gz": lambda rows: gzip.compress(json_lines(rows)),
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_rows(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m.{suffix}"
    path.write_bytes(FORMATS[suffix](ROWS))
    manifest = read_manifest(path)
    assert manifest.rows() == EXPECTED
    assert list(manifest.iterate()) == EXPECTED
    assert (manifest.labels, manifest.has_images, manifest.has_texts) == (["x/y", "x/z"], True, True)
    assert manifest.rows([2, 0]) == [EXPECTED[2], EXPECTED[0]]


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_without_a_value_are_none(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = dict.fromkeys(ROWS[0], "")
    rows = [{**row, "note": str(i)} for i, row in enumerate((blank, *ROWS, {**blank, "text": " "}))]
    for name, its in (("test", rows), ("train", [rows[0], rows[-1]])):
        (tmp_path / f"{name}.{suffix}").write_bytes(FORMATS[suffix](its))
    assert read_manifest(tmp_path / f"test.{suffix}").rows() == EXPECTED
    assert capsys.readouterr().err == f"{tmp_path / f'test.{suffix}'}: 2 blank rows passed over\n"
    joined = read_manifest(tmp_path / f"t*.{suffix}").rows()
    assert [(row.key, row.split) for row in joined] == [("1", "train"), ("2", "test"), ("3", "test")]


@pytest.mark.parametrize("suffix", FORMATS)
def test_columns_by_other_names_and_repeated_keys(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m.{suffix}"
    names = Columns(image="file", text="title", key="sku")
    renamed = [{"file": r["image"], "title": r["text"], "sku": r["key"]} for r in ROWS]
    path.write_bytes(FORMATS[suffix](renamed))
    assert [(row.key, row.image) for row in read_manifest(path, names).rows()] == [
        ("1", "a b.png"), ("2", ""), ("3", "c.png"),
    ]  # fmt: skip
    with pytest.raises(ManifestError, match="no column 'image' or 'text' among file, title, sku"):
        read_manifest(path, Columns())
    path.write_bytes(FORMATS[suffix]([*ROWS, {**ROWS[1], "image": "new.png"}]))
    with pytest.raises(ManifestError, match=r":\d+: key '2' stands on line \d already"):
        read_manifest(path)


texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=12)


@given(captions=st.lists(texts, min_size=1, max_size=6), suffix=st.sampled_from(sorted(FORMATS)))
def test_any_text_survives_any_format(
    captions: list[str], suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / f"m.{suffix}"
    path.write_bytes(FORMATS[suffix]([{"key": str(i), "text": caption} for i, caption in enumerate(captions)]))
    from huse.extract.manifest.cells import plain
    from huse.extract.texts import clean_text

    assert [row.text for row in read_manifest(path).rows()] == [plain(clean_text(caption)) for caption in captions]


def test_a_folder_of_images_is_a_manifest(tmp_path: Path) -> None:
    for name in ("top.png", "b/2.JPG", "b/1.jpeg", "a/deep/x.webp", "a/notes.txt", "a/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    manifest = read_manifest(tmp_path)
    assert [(row.key, row.label) for row in manifest.rows()] == [
        ("top.png", ""), ("a/deep/x.webp", "a/deep"), ("b/1.jpeg", "b"), ("b/2.JPG", "b"),
    ]  # fmt: skip
    assert manifest.location(manifest.rows([0])[0]) == str(tmp_path / "top.png")
    assert (manifest.has_images, manifest.has_texts) == (True, False)
    (tmp_path / "a/deep/x.webp").unlink()
    with pytest.raises(ManifestError, match="no images"):
        read_manifest(tmp_path / "a")


def test_locations_are_paths_or_urls(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("image\nsub/a.png\n/abs/b.png\nhttps://example.com/c.png\ns3://bucket/d.png\n")
    manifest = read_manifest(path)
    assert [manifest.location(row) for row in manifest.rows()] == [
        str(tmp_path / "sub/a.png"), "/abs/b.png", "https://example.com/c.png", "s3://bucket/d.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.jsonl", b'{"text": "a"}\n{"text": ', r"m\.jsonl:2: not JSON"),
        ("m.jsonl", b'["a"]\n', r"m\.jsonl:1: not a JSON object"),
        ("m.jsonl", b'{"text": ["a"]}\n', r"m\.jsonl:1: column 'text' holds list"),
        ("m.csv.gz", b"text\na\n", r"not a whole gzip file"),
        ("m.csv.gz", gzip.compress(b"text\n" + b"abcdefghij\n" * 9999, mtime=0)[:60], r"gzip file is cut off"),
        ("m.parquet", b"no parquet", r"not a Parquet file"),
        ("m.xlsx", b"PK", r"unknown format '\.xlsx'; name CSV"),
        ("m.tsv", b"text\tlabel\na\n", r"m\.tsv:2: 1 values, the header has 2"),
        ("m.csv", b"text,label\na,b,c\n", r"m\.csv:2: 3 values, the header has 2"),
    ],
)
def test_damaged_files_say_where_and_how_to_mend(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        read_manifest(tmp_path / name)


MEMORY = """
import sys
from pathlib import Path
from huse.extract.manifest.rows import read_manifest
from huse.extract.manifest.plan import plan_shards
manifest = read_manifest(sys.argv[1])
plan = plan_shards(manifest.digests, {}, 10_000)
assert sum(map(len, plan.values())) == int(sys.argv[2])
assert manifest.rows(plan[1][:1])[0].text.endswith(" 10000")
status = Path("/proc/self/status").read_text()  # the peak that resource tells counts the parent's, before exec
print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
"""


def planning_memory(path: Path, rows: int) -> int:
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write("image,text,label,split\n")
        file.writelines(
            f"images/{i:09d}.jpg,a caption of some thirty letters {i},top/middle/class {i % 997},train\n"
            for i in range(rows)
        )
    done = subprocess.run([sys.executable, "-c", MEMORY, str(path), str(rows)], check=True, capture_output=True)
    return int(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to tell the peak of memory")
def test_planning_takes_little_memory_a_row(tmp_path: Path) -> None:
    """5 million rows within 1 GiB: not more than 170 bytes a row beside what the program takes itself."""
    few, many = planning_memory(tmp_path / "few.csv.gz", 20_000), planning_memory(tmp_path / "many.csv.gz", 320_000)
    assert (many - few) / 300_000 < 170
    assert few + 5_000_000 * (many - few) / 300_000 < 2**30


def test_images_of_a_folder_become_rows_with_labels(tmp_path: Path) -> None:
    (tmp_path / "red").mkdir()
    Image.new("RGB", (4, 4), "red").save(tmp_path / "red" / "1.png")
    expected = ManifestRow("red/1.png", "red/1.png", "", "red", "")
    assert read_manifest(tmp_path, Columns(image="file")).rows() == [expected]
