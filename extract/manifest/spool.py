"""Manifest rows on disk while a run lasts, so that memory does not grow with the manifest."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from operator import attrgetter
from threading import Lock
from typing import Any

from huse.features.errors import ManifestError

ROWS_A_WRITE = 10_000


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One row: an image, a text or both, and what is known of them.

    Attributes:
        key: unique name of the row.
        image: image location as written in the manifest, or the name of an image that lies in it, for display;
            empty when there is none.
        text: cleaned text; empty when the row has none.
        label: class identity, a path such as ``apparel/topwear/shirts``; empty when unknown.
        split: ``train``, ``val``, ``test`` or empty.
        problem: what is wrong with the row, which then has neither image nor text; empty when nothing is.
        held: number in the spool of an image that lies in the manifest itself; 0 for all others.
    """

    key: str
    image: str
    text: str
    label: str
    split: str
    problem: str = ""
    held: int = field(default=0, compare=False)

    @property
    def has_image(self) -> bool:
        """Whether there is an image to read."""
        return bool(self.held or self.image)


_NAMES = tuple(name.name for name in fields(ManifestRow))
_VALUES = attrgetter(*_NAMES)


class Spool:
    """Rows by position, from 0 on, in a temporary SQLite file that goes away with this object."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE rows (position INTEGER PRIMARY KEY, line INTEGER, "
            "key TEXT, image TEXT, text TEXT, label TEXT, split TEXT, problem TEXT, held INTEGER)"
        )
        self._database.execute("CREATE TABLE images (number INTEGER PRIMARY KEY, data BLOB)")
        self._lock = Lock()  # reading threads ask for images
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, rows: Iterable[tuple[int, ManifestRow]]) -> None:
        """Adds rows, each with its line in the manifest.

        Raises:
            ManifestError: the disk for temporary files is full, or a value is of a gigabyte.
        """
        values = [(self._length + i, line, *_VALUES(row)) for i, (line, row) in enumerate(rows)]
        with self._writing():
            self._database.executemany(f"INSERT INTO rows VALUES (?, ?{', ?' * len(_NAMES)})", values)
        self._length += len(values)

    def hold(self, data: bytes) -> int:
        """Keeps the bytes of an image and returns their number, from 1 on.

        Raises:
            ManifestError: the disk for temporary files is full, or a value is of a gigabyte.
        """
        with self._writing():
            return int(self._database.execute("INSERT INTO images (data) VALUES (?)", (data,)).lastrowid or 0)

    def rename(self, position: int, key: str) -> None:
        """Gives a row another key."""
        with self._writing():
            self._database.execute("UPDATE rows SET key = ? WHERE position = ?", (key, int(position)))

    def take(self, positions: Iterable[int]) -> list[ManifestRow]:
        """The rows at some positions, in the order asked for."""
        query = f"SELECT {', '.join(_NAMES)} FROM rows WHERE position = ?"
        return [ManifestRow(*self._get(query, int(position))) for position in positions]

    def image_bytes(self, row: ManifestRow) -> bytes:
        """The bytes of an image that lies in the manifest."""
        return bytes(self._get("SELECT data FROM images WHERE number = ?", row.held)[0])

    def line(self, position: int) -> int:
        """Where in the manifest a row stands."""
        return int(self._get("SELECT line FROM rows WHERE position = ?", int(position))[0])

    def _get(self, query: str, number: int) -> tuple[Any, ...]:
        with self._lock:
            found: tuple[Any, ...] = self._database.execute(query, (number,)).fetchone()
        return found

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except (sqlite3.Error, OverflowError) as error:
            raise ManifestError(
                f"the manifest's rows cannot be kept in a temporary file ({error}); "
                "TMPDIR names another folder, as one with more room"
            ) from error
