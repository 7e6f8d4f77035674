"""Tables in memory: of pandas, polars and Arrow, by the protocols that they share."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pandas
import polars
import pyarrow
import pytest

import huse
from huse.extract.manifest import arrow as arrow_module
from huse.extract.manifest.keys import content_key
from huse.extract.manifest.rows import Columns, read_manifest
from huse.extract.manifest.spool import ManifestRow
from huse.features.errors import ManifestError

COLUMNS = {
    "key": ["1", "2", "3"],
    "image": ["a.png", None, "b c.png"],
    "text": ["one", "nan", None],
    "label": ["x/y", None, "x/z"],
    "odd": [[1], [2], [3]],
}
ROWS = [
    ManifestRow("1", "a.png", "one", "x/y", ""),
    ManifestRow("2", "", "nan", "", ""),
    ManifestRow("3", "b c.png", "", "x/z", ""),
]


class Old:
    """A data frame of the older protocol alone."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        return self._frame.__dataframe__(nan_as_null, allow_copy)


class Stream:
    """What gives a stream of Arrow and nothing else."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


class Relation(Stream):
    """What names its columns, and gives one of them by its name, as DuckDB does."""

    @property
    def columns(self) -> list[str]:
        return list(self._table.column_names)

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            raise TypeError("incompatible function arguments")
        return self._table[name]


KINDS = {
    "pandas": pandas.DataFrame,
    "polars": polars.DataFrame,
    "Table": pyarrow.table,
    "RecordBatch": lambda columns: pyarrow.RecordBatch.from_pydict(columns),
    "RecordBatchReader": lambda columns: pyarrow.table(columns).to_reader(),
    "stream": lambda columns: Stream(pyarrow.table(columns)),
    "relation": lambda columns: Relation(pyarrow.table(columns)),
    "old pandas": lambda columns: Old(pandas.DataFrame({n: v for n, v in columns.items() if n != "odd"})),
}


@pytest.mark.filterwarnings("ignore:The Dataframe Interchange Protocol is deprecated")
@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_every_library_give_the_same_rows(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = read_manifest(KINDS[kind](COLUMNS))
    assert manifest.rows() == ROWS
    assert manifest.labels == ["x/y", "x/z"]
    assert manifest.location(manifest.rows()[0]) == str(tmp_path / "a.png")
    assert manifest.written == ""


PANDAS = [
    (pandas.Series(["a", None, "a"], dtype="category"), ["a", "", "a"]),
    (pandas.Series([1, None, 3], dtype="Int64"), ["1", "", "3"]),
    (pandas.Series([1.0, math.nan, 3.5]), ["1", "", "3.5"]),
    (pandas.Series(["a", math.nan, "b"], dtype=object), ["a", "", "b"]),
    (pandas.Series(["a", pandas.NA, "b"], dtype="string"), ["a", "", "b"]),
    (pandas.Series([True, None, False], dtype="boolean"), ["True", "", "False"]),
    (pandas.to_datetime(pandas.Series(["2024-02-03", None])), ["2024-02-03 00:00:00", ""]),
    (pandas.Series(["a", None, "b"], dtype=pandas.ArrowDtype(pyarrow.large_string())), ["a", "", "b"]),
]


@pytest.mark.parametrize(("column", "expected"), PANDAS, ids=lambda value: str(getattr(value, "dtype", "")))
def test_columns_of_pandas(column: Any, expected: list[str]) -> None:
    frame = pandas.DataFrame({"text": column, "label": column, "key": range(len(column))})
    rows = read_manifest(frame).rows()
    assert [row.text for row in rows] == expected
    assert [row.label for row in rows] == expected


POLARS = [
    (polars.Series(["a", None, "a"], dtype=polars.Categorical), ["a", "", "a"]),
    (polars.Series(["a", None, "b"], dtype=polars.Enum(["a", "b"])), ["a", "", "b"]),
    (polars.Series([1, None, 3], dtype=polars.UInt8), ["1", "", "3"]),
    (polars.Series([1.0, math.nan, 3.5]), ["1", "", "3.5"]),
    (polars.Series([b"a", None, b"b"]), ["a", "", "b"]),
]


@pytest.mark.parametrize(("column", "expected"), POLARS, ids=lambda value: str(getattr(value, "dtype", "")))
def test_columns_of_polars(column: Any, expected: list[str]) -> None:
    rows = read_manifest(polars.DataFrame({"text": column, "label": column, "key": ["1", "2", "3"]})).rows()
    assert [row.text for row in rows] == expected
    assert [row.label for row in rows] == expected


def test_the_index_of_a_frame_is_no_row_number(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"text": ["a", "b", "c"]}, index=[7, 7, 9])
    assert [row.key for row in read_manifest(frame).rows()] == [content_key(text) for text in "abc"]
    filtered = frame[frame.text != "b"]
    assert [row.key for row in read_manifest(filtered).rows()] == [content_key(text) for text in "ac"]
    frame.index = pandas.Index(["x", "y", "z"], name="key")
    assert [row.key for row in read_manifest(frame).rows()] == ["x", "y", "z"]


@pytest.mark.parametrize("make", [pandas.DataFrame, polars.DataFrame, pyarrow.table])
def test_bytes_of_an_image_column_are_images(make: Any) -> None:
    manifest = read_manifest(make({"image": [b"one", None, b"two"], "text": ["a", "b", "c"]}))
    assert [row.has_image for row in manifest.rows()] == [True, False, True]
    assert manifest.image_bytes(manifest.rows()[2]) == b"two"
    structs = [{"bytes": b"one", "path": "1.png"}, {"bytes": None, "path": "2.png"}]
    manifest = read_manifest(make({"image": structs}))
    assert [(row.key, row.image, bool(row.held)) for row in manifest.rows()] == [
        ("1.png", "1.png", True),
        ("2.png", "2.png", False),
    ]


def test_what_is_no_image_in_a_column_of_images_is_none() -> None:
    structs = [{"bytes": b"a", "path": "x.png"}, None, {"bytes": None, "path": "y.png"}, math.nan]
    for column in ([b"a", math.nan, None, pandas.NA], structs):
        manifest = read_manifest(pandas.DataFrame({"image": column, "text": list("abcd")}))
        assert [bool(row.held) for row in manifest.rows()] == [True, False, False, False]
        assert [row.key for row in manifest.rows()][1] == content_key("b")


class Unreadable:
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any:
        raise RuntimeError("lost the\nconnection")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pandas.DataFrame({"text": ["a", 1, object()]}), r"<DataFrame>: cannot be read as Arrow \(Arrow.*one type"),
        (pandas.DataFrame([["a", "b"]], columns=["text", "text"]), r"<DataFrame>: .*text"),
        (pandas.DataFrame({"title": ["a"]}), r"<DataFrame>: no column 'image' or 'text' among title"),
        (pandas.DataFrame({"text": []}), r"<DataFrame>: has no rows"),
        (pandas.DataFrame({"text": ["a"], "split": ["b"]}), r"<DataFrame>:1: split 'b'"),
        (pandas.DataFrame({"text": ["a", "b"], "key": [1, 1]}), r"<DataFrame>:2: key '1' stands on line 1 already"),
        (pandas.DataFrame({"text": [["a"]]}), r"<DataFrame>: column 'text' holds list.*write one string"),
        (pyarrow.table([["a"], ["b"]], ["text", "text"]), r"<Table>: column 'text' stands twice"),
        (polars.LazyFrame({"text": ["a"]}), r"^a LazyFrame is no manifest; name a file, or make it a data frame"),
        (polars.Series(["a"]), r"^<Series>: cannot be read as Arrow"),
        (None, r"^a NoneType is no manifest"),
        (Unreadable(), r"<Unreadable>: cannot be read as Arrow \(RuntimeError: lost the connection\)"),
    ],
)
def test_what_is_refused_says_where_and_why(frame: Any, message: str) -> None:
    with pytest.raises(ManifestError, match=message) as raised:
        read_manifest(frame)
    assert "\n" not in str(raised.value)


def test_columns_that_nobody_asks_for_may_hold_anything() -> None:
    frame = pandas.DataFrame({"text": ["a"], "odd": [object()], 3: [1]})
    assert len(read_manifest(frame[["text", "odd"]])) == 1
    numbered = frame.drop(columns="odd").rename(columns={"text": "t"})
    assert read_manifest(numbered, Columns(text="t")).rows()[0].text == "a"


def test_memory_does_not_grow_with_a_stream() -> None:
    import tracemalloc

    batch = pyarrow.RecordBatch.from_pydict({"image": [os.urandom(100_000) for _ in range(100)]})

    def batches() -> Any:
        yield from (batch for _ in range(4))

    sizes: list[int] = []
    cells = arrow_module._Cells.of

    def counted(self: Any, column: Any, name: str, before: int) -> Any:
        sizes.append(len(column))
        return cells(self, column, name, before)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow_module._Cells, "of", counted)
        tracemalloc.start()
        manifest = read_manifest(pyarrow.RecordBatchReader.from_batches(batch.schema, batches()))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert len(manifest) == 400
    assert max(sizes) == 64
    assert peak < 20_000_000


def test_no_library_of_frames_is_imported() -> None:
    package = Path(huse.__file__).parent
    names = ("import pandas", "from pandas", "import polars", "from polars")
    for room in ("commands", "embed", "extract", "features", "train"):
        for file in (package / room).rglob("*.py"):
            assert not any(name in file.read_text(encoding="utf-8") for name in names), file
