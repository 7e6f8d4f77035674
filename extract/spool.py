"""Manifest rows on disk while a run lasts, so that memory does not grow with the manifest."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from operator import attrgetter

ROWS_A_WRITE = 10_000


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One row: a picture, a text or both, and what is known of them.

    Attributes:
        key: unique name of the row.
        image: picture location as written in the manifest; empty when the row has none.
        text: cleaned text; empty when the row has none.
        label: class identity, a path such as ``apparel/topwear/shirts``; empty when unknown.
        split: ``train``, ``val``, ``test`` or empty.
    """

    key: str
    image: str
    text: str
    label: str
    split: str


_VALUES = attrgetter(*(field.name for field in fields(ManifestRow)))


class Spool:
    """Rows by position, from 0 on, in a temporary SQLite file that goes away with this object."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE rows (position INTEGER PRIMARY KEY, line INTEGER, "
            "key TEXT, image TEXT, text TEXT, label TEXT, split TEXT)"
        )
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, rows: Iterable[tuple[int, ManifestRow]]) -> None:
        """Adds rows, each with its line in the manifest."""
        values = [(self._length + i, line, *_VALUES(row)) for i, (line, row) in enumerate(rows)]
        self._database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        self._length += len(values)

    def take(self, positions: Iterable[int]) -> list[ManifestRow]:
        """The rows at some positions, in the order asked for."""
        return [ManifestRow(*self._get("key, image, text, label, split", position)) for position in positions]

    def line(self, position: int) -> int:
        """Where in the manifest a row stands."""
        return int(self._get("line", position)[0])

    def _get(self, columns: str, position: int) -> tuple[str, ...]:
        query = f"SELECT {columns} FROM rows WHERE position = ?"
        found: tuple[str, ...] = self._database.execute(query, (int(position),)).fetchone()
        return found
