"""What a manifest is before its rows are checked: columns and records, whatever the format."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from huse.extract.manifest.cells import Cell
from huse.features.errors import ManifestError

Record = tuple[int, Mapping[str, Cell]]
"""Line of the file, or number of the row, from 1 on, and values by column; a column without a value may be left out."""


@dataclass(frozen=True)
class Table:
    """A manifest's columns and records.

    Attributes:
        columns: names of the columns; JSON lines tell them only as the records are read.
        records: the rows, read as they are asked for.
    """

    columns: dict[str, None]
    records: Iterator[Record]


def require_once(where: str, columns: Sequence[str], wanted: Collection[str]) -> None:
    """Refuses a table with two columns of a wanted name.

    Raises:
        ManifestError: there are two.
    """
    for name in wanted:
        if columns.count(name) > 1:
            raise ManifestError(f"{where}: column {name!r} stands twice; rename one")
