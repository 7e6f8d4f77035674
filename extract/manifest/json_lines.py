"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

from huse.extract.manifest.cells import CellError, cell_of
from huse.extract.manifest.table import Record, Table
from huse.features.errors import ManifestError

JSON_LINES = (".jsonl", ".ndjson", ".json")


def read_json_lines(path: Path, file: IO[str], wanted: Collection[str], image: str) -> Table:
    """The table of a file of JSON lines.

    Args:
        path: the file, for messages.
        file: opened at its start.
        wanted: columns that are read; others may hold anything.
        image: which of them holds images.

    Raises:
        ManifestError: while reading: a line that is no object, or a wanted value that is a list or an object.
    """
    columns: dict[str, None] = {}
    return Table(columns, _records(path, file, columns, wanted, image))


def _records(
    path: Path, file: IO[str], columns: dict[str, None], wanted: Collection[str], image: str
) -> Iterator[Record]:
    used = set(wanted)
    for number, line in enumerate(file, start=1):
        if not line.strip("\ufeff \t\r\n"):
            continue
        values = _object(f"{path}:{number}", line)
        columns.update(dict.fromkeys(values))
        record = {}
        for name in values.keys() & used:
            try:
                record[name] = cell_of(values[name], name == image)
            except CellError as error:
                raise ManifestError(f"{path}:{number}: column {name!r} {error}") from error
        yield number, record


def _object(where: str, line: str) -> dict[str, Any]:
    try:
        values = json.loads(line.lstrip("\ufeff"))  # the mark of a file that was joined to another
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{where}: not JSON ({error}); each line must be one whole object") from error
    if not isinstance(values, dict):
        raise ManifestError(f"{where}: not a JSON object; write one {{...}} a line, with one value a column")
    return {name.strip(): value for name, value in values.items()}
