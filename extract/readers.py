"""Threads that read ahead of an encoder, and that nobody waits for once a run is interrupted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from huse.features.errors import StoreError

Item = TypeVar("Item")
Result = TypeVar("Result")

Job = tuple["Future[Any]", Callable[[Any], Any], Any]


class Readers:
    """A pool of daemon threads, as a context.

    The pools of the standard library are joined when the interpreter ends, so one connection that hangs would hold up
    an interrupted run for as long as it likes; these threads read only, and may be cut off anywhere.

    Args:
        threads: how many.

    Raises:
        StoreError: on entering, when the system gives no so many threads.
    """

    def __init__(self, threads: int) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = [Thread(target=self._work, name=f"huse-read-{i}", daemon=True) for i in range(threads)]

    def __enter__(self) -> Self:
        for started, thread in enumerate(self._threads):
            try:
                thread.start()
            except RuntimeError as error:
                self._end()
                said = f"workers={len(self._threads)} (--workers): the system gives no more than {started} threads"
                raise StoreError(f"{said}; name fewer") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        if kind is not None:
            with suppress(Empty):  # what has not begun need not
                while True:
                    self._jobs.get_nowait()
        self._end()

    def _end(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)

    def submit(self, work: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Begins `work(item)` when a thread is free."""
        future: Future[Result] = Future()
        self._jobs.put((future, work, item))
        return future

    def ordered(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        ahead: int,
        weight: Callable[[Item], int] = lambda _: 1,
    ) -> Iterator[Result]:
        """Results of `work` in the order of `items`, so many of them waiting that memory stays bounded.

        Args:
            work: done in the threads.
            items: asked for when there is room.
            ahead: weight of those that wait, at most and but for one.
            weight: of an item.
        """
        waiting: deque[tuple[int, Future[Result]]] = deque()
        total = 0
        for item in items:
            waiting.append((weight(item), self.submit(work, item)))
            total += waiting[-1][0]
            while total >= ahead and waiting:
                heavy, future = waiting.popleft()
                total -= heavy
                yield future.result()
        while waiting:
            yield waiting.popleft()[1].result()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, work, item = job
            try:
                future.set_result(work(item))
            except BaseException as error:  # noqa: BLE001 - raised where the result is asked for, as by any executor
                future.set_exception(error)
            del job, future, item  # a thread that waits holds on to nothing
