"""Objects that are about to be read are fetched while others are read: a store far away costs its latency once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from huse.features.errors import HuseError
from huse.features.files.cache import local_copy
from huse.features.files.place import is_remote

T = TypeVar("T")

AHEAD = 8
"""Objects that are fetched, or wait to be read."""


def fetched_ahead(items: Sequence[T], paths_of: Callable[[T], Sequence[Path]]) -> Iterator[T]:
    """The items in order, each when the files that it stands for are on this machine; the next ones are on their way.

    Args:
        items: what stands for files, such as the numbers of shards.
        paths_of: gives the paths of each, at least one. What cannot be fetched is told by whoever reads it.
    """
    if not items or not is_remote(paths_of(items[0])[0]):
        yield from items
        return
    pool = ThreadPoolExecutor(AHEAD, "huse-fetch")
    waiting: deque[tuple[T, Future[None]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(_fetch, paths_of(item))))
            if len(waiting) == AHEAD:
                yield _arrived(waiting)
        while waiting:
            yield _arrived(waiting)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _arrived(waiting: deque[tuple[T, Future[None]]]) -> T:
    item, future = waiting.popleft()
    future.result()
    return item


def _fetch(paths: Sequence[Path]) -> None:
    for path in paths:
        with suppress(OSError, HuseError):
            local_copy(path)
