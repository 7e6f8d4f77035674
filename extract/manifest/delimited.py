"""CSV and TSV files as programs and spreadsheets write them."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

from huse.extract.manifest.table import Record, Table, require_once
from huse.features.errors import ManifestError

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
OTHERS = (",", ";", "\t", "|")
"""What separates values in spite of the suffix, where only so the wanted columns are found."""

LONGEST = 1 << 26
"""Most characters of one value; more is a quote that is not closed."""

SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\1*[\r\n]*', re.IGNORECASE | re.DOTALL)
"""The line by which a spreadsheet is told the delimiter."""


def read_delimited(path: Path, file: IO[str], suffix: str, wanted: Collection[str]) -> Table:
    """The table of a CSV or TSV file.

    Args:
        path: the file, for messages.
        file: opened at its start.
        suffix: which of `DELIMITERS` is expected.
        wanted: columns by which the delimiter is known, and that are read.

    Raises:
        ManifestError: it has no header or repeats a wanted column; raised while reading too, for rows whose values
            do not fit the header.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
    delimiter, skipped = _delimiter(file, DELIMITERS[suffix], wanted)
    reader = csv.reader(file, strict=True, delimiter=delimiter)
    rows = _numbered(path, reader, skipped)
    _, header = next(rows, (0, []))
    if not header:
        raise ManifestError(f"{path}: is empty; its first line must name the columns, such as image,text,label")
    columns = [name.strip() for name in header]
    if "\0" in "".join(columns):
        raise ManifestError(f"{path}: looks like UTF-16 without a mark; save the file as UTF-8")
    require_once(f"{path}:1", columns, wanted)
    return Table(dict.fromkeys(filter(None, columns)), _records(path, columns, rows, wanted))


def _delimiter(file: IO[str], expected: str, wanted: Collection[str]) -> tuple[str, int]:
    """The delimiter, with the file left at its header, and how many lines were skipped before that."""
    told = SEPARATOR_LINE.fullmatch(file.readline(LONGEST))
    if told:
        return told[1], 1
    found: dict[str, tuple[int, int]] = {}
    for delimiter in (expected, *OTHERS):
        file.seek(0)
        header = _header(file, delimiter)
        found[delimiter] = len(set(header) & set(wanted)), len(header)
    file.seek(0)
    wanted_names, _ = max(found.values())
    if wanted_names:
        return next(delimiter for delimiter, (names, _) in found.items() if names == wanted_names), 0
    return max(found, key=lambda delimiter: found[delimiter]), 0  # to be refused, naming what columns there are


def _header(file: IO[str], delimiter: str) -> list[str]:
    try:
        return next(([name.strip() for name in row] for row in csv.reader(file, delimiter=delimiter) if any(row)), [])
    except csv.Error:
        return []  # with the right delimiter the same is told with its line


def _numbered(path: Path, reader: Iterator[list[str]], skipped: int) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line that it begins on."""
    while True:
        line = reader.line_num + 1 + skipped  # type: ignore[attr-defined]
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise ManifestError(
                f"{path}:{line}: not valid CSV ({error}) in the row that begins here; check the quotes"
            ) from error
        if values is None:
            return
        if any(value and not value.isspace() for value in values):
            yield line, values


def _records(
    path: Path, columns: list[str], rows: Iterator[tuple[int, list[str]]], wanted: Collection[str]
) -> Iterator[Record]:
    chosen = [(i, name) for i, name in enumerate(columns) if name in wanted]
    least = 1 + max(i for i, name in enumerate(columns) if name)
    for line, values in rows:
        if len(values) < least or any(value.strip() for value in values[len(columns) :]):
            raise ManifestError(
                f"{path}:{line}: {len(values)} values, the header has {len(columns)}; "
                "add the missing, or put quotes around values with separators"
            )
        record = {name: values[i] for i, name in chosen}
        if "\0" in "".join(record.values()):
            raise ManifestError(f"{path}:{line}: holds a NUL character; the file may be damaged, remove it")
        yield line, record
