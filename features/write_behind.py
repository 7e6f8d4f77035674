"""A shard is written while the next one is made."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from huse.features.rows import Rows
from huse.features.store import Store


class WriteBehind:
    """Writes shards of a store in a thread, as a context; at most one is in flight, so an interrupt loses no more.

    Leaving the context waits for the last shard. An error of the disk is raised by the next call.

    Attributes:
        seconds: how long the caller has waited for the disk.
    """

    def __init__(self, store: Store) -> None:
        self.seconds = 0.0
        self._store = store
        self._thread = ThreadPoolExecutor(1, "huse-write")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._thread.shutdown()

    def write(self, index: int, rows: Rows) -> None:
        """Begins to write a shard, once the one before is written.

        Raises:
            OSError: the shard before could not be written.
        """
        self._wait()
        self._pending = self._thread.submit(self._store.write, index, rows)

    def _wait(self) -> None:
        began = time.perf_counter()
        if self._pending is not None:
            self._pending.result()
        self.seconds += time.perf_counter() - began
