"""Tables as people have them: one table in every format gives equal rows, and spreadsheets are taken as they come."""

from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import io
import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from huse.extract.class_names import class_texts
from huse.extract.manifest.keys import content_key
from huse.extract.manifest.rows import Columns, read_manifest
from huse.extract.manifest.spool import ManifestRow
from huse.extract.texts import clean_text
from huse.features.companions import class_name
from huse.features.errors import ManifestError
from huse.features.labels import clean_label, label_path
from huse.train.classes.taxonomy import ancestors_of_labels

Table = list[dict[str, Any]]


def as_csv(rows: Table, delimiter: str = ",") -> bytes:
    """As a data frame writes it: nothing for what is not there, 101.0 in a column of floats."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow(rows[0])
    empty = (None, "")
    values = ([row[name] for name in rows[0]] for row in rows)
    writer.writerows([["" if v in empty or v != v else v for v in row] for row in values])
    return buffer.getvalue().encode()


def as_json(rows: Table) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def as_parquet(rows: Table) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({name: [row[name] for row in rows] for name in rows[0]}), buffer)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[Table], bytes]] = {
    "csv": as_csv,
    "csv.gz": lambda rows: gzip.compress(as_csv(rows)),
    "tsv": lambda rows: as_csv(rows, "\t"),
    "jsonl": as_json,
    "jsonl.gz": lambda rows: gzip.compress(as_json(rows)),
    "json": as_json,
    "parquet": as_parquet,
}

MIXED: Table = [
    {"key": 101.0, "text": "Caf\u00e9 au\u0085lait", "label": "food/Caf\u00e9", "split": "Training", "image": "a.png"},
    {"key": 102.0, "text": "  b\u2028c ", "label": " food / Cafe\u0301", "split": "VALID", "image": None},
    {"key": 103.5, "text": None, "label": None, "split": "dev", "image": "c d.png"},
    {"key": math.nan, "text": "nan", "label": "nan", "split": None, "image": ""},
]
MIXED_ROWS = [
    ManifestRow("101", "a.png", "Caf\u00e9 au lait", "food/Caf\u00e9", "train"),
    ManifestRow("102", "", "b c", "food/Caf\u00e9", "val"),
    ManifestRow("103.5", "c d.png", "", "", "val"),
    ManifestRow(content_key("nan"), "", "nan", "", ""),
]


def written(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_table_gives_the_same_rows_in_every_format(suffix: str, tmp_path: Path) -> None:
    manifest = read_manifest(written(tmp_path, f"m.{suffix}", FORMATS[suffix](MIXED)))
    assert manifest.rows() == MIXED_ROWS
    assert manifest.labels == ["food/Caf\u00e9"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([101.0, math.nan, 7.0], ["101", "", "7"]),
        ([1, None, 2**53 + 1], ["1", "", "9007199254740993"]),
        ([True, False, None], ["True", "False", ""]),
        ([0.25, None, -3.0], ["0.25", "", "-3"]),
        ([-0.0, 1e22, 1e15], ["0", "1e+22", "1000000000000000"]),
        (["None", "null", "NaN"], ["", "", ""]),
        (["x", None, "y"], ["x", "", "y"]),
        ([None, None, None], ["", "", ""]),
    ],
)
def test_labels_of_any_type(suffix: str, values: list[Any], labels: list[str], tmp_path: Path) -> None:
    rows = [{"key": f"k{i}", "text": value, "label": value} for i, value in enumerate(values)]
    found = read_manifest(written(tmp_path, f"m.{suffix}", FORMATS[suffix](rows))).rows()
    assert [row.label for row in found] == labels
    words = isinstance(values[0], str)
    assert [row.text for row in found] == ([value or "" for value in values] if words else labels)


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)
floats = st.one_of(st.none(), st.floats(allow_infinity=False, width=64))
generated = st.one_of(
    *(
        st.lists(st.fixed_dictionaries({"text": texts, "label": kind, "image": texts}), min_size=1, max_size=5)
        for kind in (st.booleans(), st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), floats, texts)
    )
)


@given(rows=generated)
def test_generated_tables_give_the_same_rows_in_every_format(
    rows: Table, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    rows = [{"key": f"k{i}", **row} for i, row in enumerate(rows)]
    found = {
        suffix: read_manifest(written(folder, f"m.{suffix}", FORMATS[suffix](rows))).rows()
        for suffix in ("csv", "jsonl", "parquet")
    }
    assert found["csv"] == found["jsonl"] == found["parquet"]
    assert [row.key for row in found["csv"]] == [row["key"] for row in rows]
    for row in found["csv"]:
        assert row.label != "nan"
        assert len((row.label + row.text + row.key).splitlines()) <= 1


ARROW = [
    (pyarrow.array(["a", None, "a"]).dictionary_encode(), ["a", "", "a"]),
    (pyarrow.array(["a", None, "b"], pyarrow.large_string()), ["a", "", "b"]),
    (pyarrow.array(["a", None, "b"], pyarrow.string_view()), ["a", "", "b"]),
    (pyarrow.array([b"a", None, "\u00e9".encode()]), ["a", "", "\u00e9"]),
    (pyarrow.array([0.1, None, 3.0], pyarrow.float32()), ["0.1", "", "3"]),
    (pyarrow.array([0.5, math.nan, 3.0], pyarrow.float64()), ["0.5", "", "3"]),
    (pyarrow.array([1, None, 255], pyarrow.uint8()), ["1", "", "255"]),
    (pyarrow.array([decimal.Decimal("1.50"), None, decimal.Decimal("2.00")]), ["1.50", "", "2.00"]),
    (pyarrow.array([datetime.date(2024, 2, 3), None, datetime.date(1970, 1, 1)]), ["2024-02-03", "", "1970-01-01"]),
    (
        pyarrow.array([1, None, 2_000_000_001], pyarrow.timestamp("ns")),
        ["1970-01-01 00:00:00", "", "1970-01-01 00:00:02"],
    ),
    (pyarrow.array([None, None, None], pyarrow.null()), ["", "", ""]),
]


@pytest.mark.parametrize(("column", "expected"), ARROW, ids=lambda value: str(getattr(value, "type", "")))
def test_columns_of_every_parquet_type(column: Any, expected: list[str], tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": column, "label": column, "key": ["1", "2", "3"]}), path)
    rows = read_manifest(path).rows()
    assert [row.text for row in rows] == expected
    assert [row.label for row in rows] == expected


@pytest.mark.parametrize("value", [["a"], {"a": "b"}, [{"a": 1}], [1.5]], ids=["list", "struct", "structs", "floats"])
@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_lists_and_structs_are_refused_where_they_are_used(suffix: str, value: Any, tmp_path: Path) -> None:
    rows = [{"image": "a.png", "text": "a", "boxes": value}]
    path = written(tmp_path, f"m.{suffix}", FORMATS[suffix](rows))
    assert len(read_manifest(path)) == 1
    for column in ("text", "label", "image"):
        with pytest.raises(ManifestError, match=r"column 'boxes' holds .*write one string"):
            read_manifest(path, Columns(**{column: "boxes"}))


PNG = b"\x89PNG\r\n\x1a\n and so on"


@pytest.mark.parametrize("kind", ["struct", "binary", "large_binary", "fixed", "null path"])
def test_bytes_of_an_image_column_are_images(kind: str, tmp_path: Path) -> None:
    data = [PNG + b"1", PNG + b"2", None]
    paths = None if kind == "null path" else pyarrow.array(["x.png", "y.png", "z.png"])
    column = {
        "binary": lambda: pyarrow.array(data),
        "large_binary": lambda: pyarrow.array(data, pyarrow.large_binary()),
        "fixed": lambda: pyarrow.array(data, pyarrow.binary(len(PNG) + 1)),
    }.get(
        kind,
        lambda: pyarrow.StructArray.from_arrays([pyarrow.array(data), paths or pyarrow.nulls(3)], ["bytes", "path"]),
    )()
    path = tmp_path / "m.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": column, "text": ["a", "b", "c"]}), path)
    manifest = read_manifest(path)
    rows = manifest.rows()
    assert [manifest.image_bytes(row) for row in rows[:2]] == data[:2]
    assert [row.has_image for row in rows] == [True, True, kind == "struct"]
    if kind == "struct":  # without bytes the path is where the image lies
        assert [(row.key, row.image) for row in rows] == [(name, name) for name in ("x.png", "y.png", "z.png")]
        assert manifest.location(rows[2]) == str(tmp_path / "z.png")
    else:
        assert [row.key for row in rows] == [content_key(PNG + b"1"), content_key(PNG + b"2"), content_key("c")]


def test_images_of_one_name_are_told_apart_by_content(tmp_path: Path) -> None:
    data, names = [PNG + b"1", PNG + b"2", PNG + b"3", PNG + b"1"], ["1.png", "1.png", "3.png", "1.png"]
    column = pyarrow.StructArray.from_arrays([pyarrow.array(data), pyarrow.array(names)], ["bytes", "path"])
    pyarrow.parquet.write_table(pyarrow.table({"image": column}), tmp_path / "m.parquet")
    manifest = read_manifest(tmp_path / "m.parquet")
    first = content_key(data[0])
    assert [row.key for row in manifest.rows()] == [first, content_key(data[1]), "3.png", f"{first}#2"]
    assert [row.image for row in manifest.rows()] == names


def test_images_of_one_name_with_a_wrong_label_cost_their_own_rows(tmp_path: Path) -> None:
    images = [{"bytes": PNG + bytes([i]), "path": "1.png"} for i in range(4)]
    labels = pyarrow.array([b"a", b"caf\xe9", b"caf\xe9", b"a"])
    pyarrow.parquet.write_table(pyarrow.table({"image": images, "label": labels}), tmp_path / "m.parquet")
    rows = read_manifest(tmp_path / "m.parquet").rows()
    assert [bool(row.problem) for row in rows] == [False, True, True, False]
    whole = [content_key(image["bytes"]) for image in images]
    assert [row.key for row in rows] == [whole[0], "1.png", "1.png#2", whole[3]]


def test_images_in_cells_cost_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "m.parquet"
    column = pyarrow.array([os.urandom(100_000) for _ in range(400)])
    pyarrow.parquet.write_table(pyarrow.table({"image": column}), path, row_group_size=400)
    tracemalloc.start()
    manifest = read_manifest(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert manifest.image_bytes(manifest.rows([399])[0]) == column[399].as_py()
    assert peak < 20_000_000, "64 rows at a time, not 400"


SPREADSHEETS = {
    "semicolons": b"key;text;label\n1;a, b;x\n2;c;\n",
    "tabs": b"key\ttext\tlabel\n1\ta, b\tx\n2\tc\t\n",
    "bars": b"key|text|label\n1|a, b|x\n2|c|\n",
    "sep": b'sep=;\r\nkey;text;label\r\n1;"a, b";x\r\n2;c;\r\n',
    "sep of a spreadsheet": b'sep=;;;\r\nkey;text;label\r\n1;"a, b";x\r\n2;c;\r\n',
    "odd sep": b'"sep=^"\nkey^text^label\n1^a, b^x\n2^c^\n',
    "mark": '\ufeffkey,text,label\n1,"a, b",x\n2,c,\n'.encode(),
    "UTF-16": 'key,text,label\n1,"a, b",x\n2,c,\n'.encode("utf-16"),
    "UTF-16 tabs": "\ufeffkey\ttext\tlabel\r\n1\ta, b\tx\r\n2\tc\t\r\n".encode("utf-16-be"),
    "UTF-32": 'key,text,label\n1,"a, b",x\n2,c,\n'.encode("utf-32"),
    "old Mac": b'key,text,label\r1,"a, b",x\r2,c,\r',
    "unnamed columns": b'key,text,label,,\n1,"a, b",x,,\n2,c,,,\n',
    "short of unnamed": b'key,text,label,,\n1,"a, b",x\n2,c,,,\n',
    "longer rows": b'key,text,label\n1,"a, b",x,,\n2,c,,\n',
    "empty rows": b'\n,,\nkey,text,label\n,,\n1,"a, b",x\n\n , ,\n2,c,\n,,\n',
    "an index": b',key,text,label\n0,1,"a, b",x\n1,2,c,\n',
    "spaces in names": b' key , text,label \n1,"a, b",x\n2,c,\n',
    "break in quotes": b'key,text,label\n1,"a,\r\n b",x\n2,c,\n',
    "no last line end": b'key,text,label\n1,"a, b",x\n2,c,',
}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz"])
@pytest.mark.parametrize("name", SPREADSHEETS)
def test_spreadsheets_are_taken_as_they_come(name: str, suffix: str, tmp_path: Path) -> None:
    content = SPREADSHEETS[name]
    path = written(tmp_path, f"m.{suffix}", gzip.compress(content) if suffix.endswith("gz") else content)
    assert read_manifest(path).rows() == [ManifestRow("1", "", "a, b", "x", ""), ManifestRow("2", "", "c", "", "")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", b"text,label\na\n", r"m\.csv:2: 1 values, the header has 2"),
        ("m.csv", b"text,label,,\na,b\nc\n", r"m\.csv:3: 1 values"),
        ("m.csv", b"text,label\na,b,c\n", r"m\.csv:2: 3 values"),
        ("m.csv", b"sep=;\ntext;label\na\n", r"m\.csv:3: 1 values"),
        ("m.csv", b'text,label\n"a\nb",x\nc\n', r"m\.csv:4: 1 values"),
        ("m.csv", b'text,label\na,x\n"b,y\nc,z\n', r"m\.csv:3: not valid CSV.*check the quotes"),
        ("m.csv", "text\na\ncaf\u00e9\n".encode("latin-1"), r"m\.csv:3: not UTF-8 \(byte 0xe9\).*iconv"),
        ("m.csv", "text\ra\rcaf\u00e9\r".encode("latin-1"), r"m\.csv:3: not UTF-8"),
        ("m.jsonl", '{"text": "a"}\n{"text": "\u00e9"}'.encode("latin-1"), r"m\.jsonl:2: not UTF-8"),
        ("m.csv", "text\na\n".encode("utf-16-le"), r"UTF-16 without a mark"),
        ("m.csv", gzip.compress(b"text\na\n", mtime=0), r"compressed by gzip; give it a name that ends in \.gz"),
        ("m.csv", b"PK\x03\x04....", r"a spreadsheet or a ZIP file; save it as CSV"),
        ("m.csv", b"PAR1....", r"Parquet file"),
        ("m.csv", b"a,b\n1,2\n", r"no column 'image' or 'text' among a, b"),
        ("m.csv", b"bild;titel;art\n1;2;3\n", r"no column 'image' or 'text' among bild, titel, art"),
        ("m.csv", b"\n\n", r"is empty"),
        ("m.csv", b"text,split\na,other\n", r"m\.csv:2: split 'other'; use train, val or test"),
        (
            "m.csv",
            "text,key\na,caf\u00e9\nb,cafe\u0301\n".encode(),
            r"m\.csv:3: key 'caf\u00e9' stands on line 2 already",
        ),
        ("m.json", b'[\n{"text": "a"}\n]', r"m\.json:1: not JSON.*each line must be one whole object"),
        ("m.jsonl", b'{"text": 1' + 5000 * b"0" + b"}", r"m\.jsonl:1: not JSON"),
        ("m.jsonl", 100_000 * b"[", r"m\.jsonl:1: not JSON"),
        ("m.jsonl", b'{"image": {"bytes": "iVBOR", "path": "a"}}', r"m\.jsonl:1: column 'image' holds bytes"),
        ("m.jsonl", b"", r"has no rows"),
        ("m", b"text\na\n", r"unknown format ''; name CSV"),
        ("m.2.xlsx", b"PK", r"unknown format '\.xlsx'; name CSV"),
        ("m.parquet.gz", b"", r"unknown format '\.parquet\.gz'; name CSV"),
    ],
)
def test_what_is_refused_says_where_and_why(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=message) as raised:
        read_manifest(written(tmp_path, name, content))
    assert "\n" not in str(raised.value)


def test_json_lines_joined_with_their_marks(tmp_path: Path) -> None:
    lines = '\ufeff{"text": "a"}\n\ufeff{"text": "b"}\n\ufeff\n'
    assert [row.text for row in read_manifest(written(tmp_path, "m.jsonl", lines)).rows()] == ["a", "b"]


def test_standard_input_and_odd_paths(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="standard input is not taken"):
        read_manifest("-")
    odd = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9 a\nb.csv"))
    odd.write_text("text\na\n")
    assert len(read_manifest(odd)) == 1


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_texts_of_any_length(suffix: str, tmp_path: Path) -> None:
    text = "word " * 60_000
    path = written(tmp_path, f"m.{suffix}", FORMATS[suffix]([{"key": "1", "text": text}, {"key": "2", "text": "b"}]))
    assert [row.text for row in read_manifest(path).rows()] == [text.strip(), "b"]


def test_what_utf_8_cannot_hold_costs_its_own_row(tmp_path: Path) -> None:
    lines = [
        r'{"key": "1", "text": "a\ud800b"}',
        r'{"key": "2\udce9", "text": "b"}',
        r'{"key": "3", "image": "\ud83d.png"}',
        r'{"key": "4", "text": "d", "label": "x\ud800"}',
        r'{"key": "5", "image": "a\u0000.png"}',
        r'{"key": "6\u0000", "text": "e\u0000", "label": "y\u0000"}',
        r'{"key": "7", "text": "\ud83d\ude00"}',
    ]
    manifest = read_manifest(written(tmp_path, "m.jsonl", "\n".join(lines)))
    rows = manifest.rows()
    assert [row.key for row in rows] == ["1", r"2\udce9", "3", "4", "5", "6", "7"]
    assert [row.text for row in rows] == ["a\ufffdb", "", "", "", "", "e", "\U0001f600"]
    assert [bool(row.problem) for row in rows] == [False, True, True, True, True, False, False]
    assert rows[2].problem == r"the image '\\ud83d.png' is not valid Unicode; correct it in the manifest"
    assert not any(row.has_image for row in rows)
    assert manifest.labels == ["y"]
    column = pyarrow.array([b"caf\xe9", b"b"]).view(pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table({"key": column, "text": column}), tmp_path / "m.parquet")
    rows = read_manifest(tmp_path / "m.parquet").rows()
    assert [(row.key, row.text, bool(row.problem)) for row in rows] == [(r"caf\udce9", "", True), ("b", "b", False)]


@pytest.mark.parametrize(
    ("separator", "label", "path", "name"),
    [
        ("/", "a / b/", "a/b", "b"),
        (" > ", "Home > TV/Video", "Home/TV\u2215Video", "TV/Video"),
        (" > ", "a>b", "a>b", "a>b"),
        (" > ", "a  >  b > ", "a/b", "b"),
        ("<", "Home<TV/Video<", "Home/TV\u2215Video", "TV/Video"),
        ("|", "a | b", "a/b", "b"),
        ("::", "a::::b/c", "a/b\u2215c", "b/c"),
        ("", "TV/Video", "TV\u2215Video", "TV/Video"),
        ("<", "clothing<tops<blouses", "clothing/tops/blouses", "blouses"),
        (" > ", "Animals & Pet Supplies > Pet Supplies", "Animals & Pet Supplies/Pet Supplies", "Pet Supplies"),
        (" > ", "3237 - Animals & Pet Supplies > Live Animals", "Animals & Pet Supplies/Live Animals", "Live Animals"),
        (">", "1 - Animals & Pet Supplies", "Animals & Pet Supplies", "Animals & Pet Supplies"),
        (" > ", "2 - 3 years > 1 - 2", "3 years/1 - 2", "1 - 2"),
        ("/", "1 - a", "1 - a", "1 - a"),
    ],
)
def test_label_separators(separator: str, label: str, path: str, name: str, tmp_path: Path) -> None:
    columns = Columns(label_separator=separator)
    manifest = read_manifest(written(tmp_path, "m.jsonl", json.dumps({"text": "t", "label": label})), columns)
    assert manifest.labels == [path]
    assert class_texts(manifest.labels) == {path: name}
    described = written(tmp_path, "c.jsonl", json.dumps({"text": "a thing", "label": label}))
    assert class_texts(manifest.labels, described, manifest.separator) == {path: "a thing"}


levels = st.lists(
    st.text(st.sampled_from("aB &/-12\u00fc"), min_size=1, max_size=6).map(str.strip), min_size=1, max_size=4
)


@given(
    levels=levels.map(lambda names: [name for name in names if name]),
    separator=st.sampled_from([" > ", ">", "<", "|", "::"]),
)
def test_levels_stay_levels_whatever_is_in_their_names(levels: list[str], separator: str) -> None:
    written = [f"x{name}" for name in levels]  # no number of a taxonomy
    path = label_path(separator.join(written), separator)
    named = [clean_text(name) for name in written]
    assert [class_name(part) for part in path.split("/")] == (named or [""])
    assert clean_label(path) == path, "it goes out of a store and in again"
    assert len(ancestors_of_labels([path])[0]) == max(len(named), 1) + 1, "and its root"


SPLIT_NAMES = [
    ("train", "train"), ("Training", "train"), ("TRAIN", "train"), ("val", "val"), ("Valid", "val"), ("dev", "val"),
    ("validation", "val"), ("VALIDATION ", "val"), ("test", "test"), ("testing", "test"), ("", ""), (" ", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "split"), SPLIT_NAMES)
def test_splits_by_the_names_that_people_give(name: str, split: str, tmp_path: Path) -> None:
    assert read_manifest(written(tmp_path, "m.csv", f"text,split\na,{name}\n")).rows()[0].split == split


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_tables_are_rows_or_one_line(suffix: str, tmp_path: Path) -> None:
    """Bytes changed, lost and put in between, and files cut off: nothing but a ManifestError is ever raised."""
    rng = random.Random(suffix)
    rows = [{**row, "key": f"k{n}-{i}"} for n in range(5) for i, row in enumerate(MIXED)]
    whole = FORMATS[suffix](rows)
    messages = []
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 1, 2, 9])):
            at = rng.randrange(len(data))
            new = bytes(rng.choice([rng.randrange(256), ord('"'), ord(","), 10]) for _ in range(rng.randrange(4)))
            data[at : at + rng.choice([0, 1, 1, 30])] = new
        del data[rng.choice([len(data), len(data), rng.randrange(len(data))]) :]
        try:
            read_manifest(written(tmp_path, f"m.{suffix}", bytes(data))).rows()
        except ManifestError as error:
            messages.append(str(error))
    assert messages
    assert all(f"m.{suffix}" in message and "\n" not in message for message in messages)


def test_words_for_nothing_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read_manifest(written(tmp_path, "m.csv", "text,label\na,nan\nb,nan\nc,None\nd,x\n"))
    told = capsys.readouterr().err.splitlines()
    assert [line.partition("m.csv: ")[2] for line in told] == [
        "'None' in column 'label' is taken for no value (1 row)",
        "'nan' in column 'label' is taken for no value (2 rows)",
    ]
