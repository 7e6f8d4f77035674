"""Rows as they come become full shards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from huse.features.rows import Rows, concatenate


class Filler:
    """Fills a new store shard by shard; rows wait until there are enough for one.

    Args:
        shard_size: rows a shard.
        write: takes the number of a shard and its rows.
        finish: takes how many shards there are in all.
    """

    def __init__(self, shard_size: int, write: Callable[[int, Rows], None], finish: Callable[[int], None]) -> None:
        self._size = shard_size
        self._write_shard, self._finish = write, finish
        self._waiting: list[Rows] = []
        self._shards = self._rows = 0

    def add(self, rows: Rows) -> None:
        """Takes some rows, and writes every shard that is full."""
        self._waiting.append(rows)
        while sum(map(len, self._waiting)) >= self._size:
            together = concatenate(self._waiting)
            self._write(together.take(np.arange(self._size)))
            self._waiting = [together.take(np.arange(self._size, len(together)))]

    def finish(self) -> int:
        """Writes the rest; returns how many rows there were in all."""
        rest = [part for part in self._waiting if len(part)]
        if rest:
            self._write(concatenate(rest))
        self._waiting = []
        self._finish(self._shards)
        return self._rows

    def _write(self, rows: Rows) -> None:
        self._write_shard(self._shards, rows)
        self._shards, self._rows = self._shards + 1, self._rows + len(rows)
