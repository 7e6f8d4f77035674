"""Shards are written while the next ones are made."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Self

from huse.features.errors import HuseError
from huse.features.looks import Looks
from huse.features.rows import Rows
from huse.features.store import Store

MOST_WAITING = 1 << 24
"""Bytes of vectors that wait for the disk by default."""


class WriteBehind:
    """Writes shards of a store in a thread, as a context.

    A shard is written at once when the disk is idle. Those that come while it is busy wait, and are then written
    together, so that many small ones are synced at once.

    Leaving the context, also by an interrupt, waits for the last shard. An error of the disk is raised by a later call.

    Args:
        store: where the shards go.
        most_waiting: bytes of vectors that wait for the disk, but for one shard.

    Attributes:
        seconds: how long the caller has waited for the disk.
    """

    def __init__(self, store: Store, most_waiting: int = MOST_WAITING) -> None:
        self.seconds = 0.0
        self._store = store
        self._most_waiting = most_waiting
        self._thread = ThreadPoolExecutor(1, "huse-write")
        self._waiting: dict[int, Rows] = {}
        self._looks: dict[int, Looks] = {}
        self._bytes = 0
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        try:
            # also when interrupted: what is finished may have taken hours; another error is told before one of the disk
            with suppress(*(() if kind is None else (HuseError, OSError))):
                self._start()
                self._wait()
        finally:
            self._thread.shutdown()

    def write(self, index: int, rows: Rows | None, looks: Looks | None = None) -> None:
        """Takes a shard to write; waits for the disk when there is enough to write.

        Args:
            index: number of the shard.
            rows: what it is to hold; None when it stays as it is.
            looks: of its images, to be kept beside it, if any.

        Raises:
            OSError: a shard before could not be written.
        """
        if looks is not None:
            self._looks[index] = looks
        if rows is not None:
            self._waiting[index] = rows
            self._bytes += rows.image.vectors.nbytes + rows.text.vectors.nbytes
        if self._pending is None or self._pending.done() or self._bytes >= self._most_waiting:
            self._start()

    def _start(self) -> None:
        """Begins to write what waits, once what is being written is on the disk."""
        self._wait()
        if self._waiting or self._looks:
            self._pending = self._thread.submit(self._store.write_many, self._waiting, self._looks)
            self._waiting, self._looks, self._bytes = {}, {}, 0

    def _wait(self) -> None:
        began = time.perf_counter()
        if self._pending is not None:
            self._pending.result()
        self.seconds += time.perf_counter() - began
