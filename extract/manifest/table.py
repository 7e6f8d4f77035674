"""What a manifest is before its rows are checked: columns and records, whatever the format."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from huse.extract.manifest.cells import Cell, Image
from huse.features.errors import ManifestError

Record = tuple[int, Mapping[str, Cell]]
"""Line of the file, or number of the row, from 1 on, and values by column; a column without a value may be left out."""


@dataclass(frozen=True)
class Table:
    """A manifest's columns and records.

    Attributes:
        columns: names of the columns; some formats tell them only as the records are read.
        records: the rows, read as they are asked for.
        file: gives the file that a line is of, and its number there, where the table has several; None of one file.
        unique: how keys become unique.
        of_folder: whether it is a folder of images, whose columns are names on a disk.
    """

    columns: dict[str, None]
    records: Iterator[Record]
    file: Callable[[int], tuple[str, int]] | None = None
    unique: str = "make keys unique or add a key column"
    of_folder: bool = False


def is_blank(values: Mapping[str, Cell]) -> bool:
    """Whether a record says nothing, as an empty row of a spreadsheet does."""
    return not any(isinstance(cell, Image) or cell.strip() for cell in values.values())


def require_once(where: str, columns: Sequence[str], wanted: Collection[str]) -> None:
    """Refuses a table with two columns of a wanted name.

    Raises:
        ManifestError: there are two.
    """
    for name in wanted:
        if columns.count(name) > 1:
            raise ManifestError(f"{where}: column {name!r} stands twice; rename one")
