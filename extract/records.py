"""A table or a folder of pictures as a stream of records, whatever its format: values by column, and a line."""

from __future__ import annotations

import csv
import gzip
import json
import os
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from huse.features.errors import ManifestError
from huse.features.extras import require

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = ".parquet"
PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")
"""What is taken for a picture in a folder."""

FORMATS = "CSV (.csv), TSV (.tsv), JSON lines (.jsonl), each also .gz, Parquet (.parquet), or a folder of pictures"
PARQUET_ROWS = 10_000

Record = tuple[int, dict[str, str]]
"""Line of the file, or number of the row, from 1 on, and values by column; a column without a value may be left out."""


@dataclass(frozen=True)
class Table:
    """A manifest's columns and records.

    Attributes:
        columns: names of the columns; None when only the records tell (JSON lines).
        records: the rows, read as they are asked for.
    """

    columns: list[str] | None
    records: Iterator[Record]


@contextmanager
def open_table(path: Path, wanted: Collection[str], image: str = "image", label: str = "label") -> Iterator[Table]:
    """Opens a manifest of any format, known by its suffix.

    Args:
        path: a file, or a folder of pictures, whose sub-folders are label paths.
        wanted: columns to read where the format allows to leave out others.
        image: column that a folder's pictures become.
        label: column that a folder's sub-folders become.

    Raises:
        ManifestError: the file is missing or damaged, not UTF-8, or of an unknown format; raised while reading, too.
        ExtraError: a Parquet file, and no package to read it.
    """
    try:
        if path.is_dir():
            yield Table([image, label], _pictures(path, image, label))
        elif path.suffix.lower() == PARQUET:
            yield _parquet(path, wanted)
        else:
            with _open_text(path) as file:
                yield _table_of(path, file)
    except gzip.BadGzipFile as error:
        raise ManifestError(f"{path}: not a whole gzip file ({error}); compress it again") from error
    except (EOFError, zlib.error) as error:
        raise ManifestError(f"{path}: the gzip file is cut off or damaged ({error}); compress it again") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 near byte {error.start}; save the file as UTF-8") from error
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror or error}); name {FORMATS}") from error


def _open_text(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _table_of(path: Path, file: IO[str]) -> Table:
    name = path.name.lower().removesuffix(".gz")
    suffix = Path(name).suffix
    if suffix in JSON_LINES:
        return Table(None, _json_lines(path, file))
    if suffix not in DELIMITERS:
        raise ManifestError(f"{path}: unknown format {suffix!r}; name {FORMATS}")
    return _delimited(path, file, DELIMITERS[suffix])


def _delimited(path: Path, file: IO[str], delimiter: str) -> Table:
    reader = csv.reader(file, strict=True, delimiter=delimiter)
    header = next(_checked_csv(path, reader), [])
    if not header:
        raise ManifestError(f"{path}: is empty; its first line must name the columns, such as image,text,label")
    columns = [name.strip() for name in header]
    if len(set(columns)) < len(columns):
        repeated = next(name for name in columns if columns.count(name) > 1)
        raise ManifestError(f"{path}:1: column {repeated!r} stands twice; rename one")

    def records() -> Iterator[Record]:
        for values in _checked_csv(path, reader):
            if len(values) != len(columns) and values:
                raise ManifestError(
                    f"{path}:{reader.line_num}: {len(values)} values, the header has {len(columns)}; "
                    "add the missing, or put quotes around values with separators"
                )
            if values:
                yield reader.line_num, dict(zip(columns, values, strict=True))

    return Table(columns, records())


def _checked_csv(path: Path, reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        line = reader.line_num  # type: ignore[attr-defined]
        raise ManifestError(f"{path}:{line}: not valid CSV ({error}); check the quotes") from error


def _json_lines(path: Path, file: IO[str]) -> Iterator[Record]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise ManifestError(f"{path}:{number}: not JSON ({error}); each line must be one object") from error
        if not isinstance(values, dict):
            raise ManifestError(f"{path}:{number}: not a JSON object; write {{...}} with one value a column")
        for name, value in values.items():
            if isinstance(value, (dict, list)):
                raise ManifestError(f"{path}:{number}: column {name!r} holds {type(value).__name__}; write one string")
        yield number, {name: "" if value is None else str(value) for name, value in values.items()}


def _parquet(path: Path, wanted: Collection[str]) -> Table:
    parquet = require("pyarrow.parquet", "parquet", f"{path.name}")
    invalid = require("pyarrow", "parquet", f"{path.name}").ArrowInvalid
    try:
        file = parquet.ParquetFile(path)
    except invalid as error:
        raise ManifestError(f"{path}: not a Parquet file ({error}); write it again") from error
    names = list(file.schema_arrow.names)

    def records() -> Iterator[Record]:
        number = 0
        chosen = [name for name in names if name in wanted]
        try:
            for batch in file.iter_batches(PARQUET_ROWS, columns=chosen):
                for row in batch.to_pylist():
                    number += 1
                    yield number, {name: "" if value is None else str(value) for name, value in row.items()}
        except invalid as error:
            raise ManifestError(f"{path}: damaged after row {number} ({error}); write it again") from error

    return Table(names, records())


def _pictures(folder: Path, image: str, label: str) -> Iterator[Record]:
    number = 0
    for where, folders, files in os.walk(folder):
        folders.sort()
        inside = Path(where).relative_to(folder)
        for name in sorted(files):
            if Path(name).suffix.lower() in PICTURES:
                number += 1
                yield number, {image: (inside / name).as_posix(), label: "" if inside == Path() else inside.as_posix()}
