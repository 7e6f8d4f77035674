"""Threads that read ahead, where the system has few."""

from __future__ import annotations

from threading import Thread

import pytest

from huse.extract.readers import Readers
from huse.features.errors import StoreError


def test_more_threads_than_the_system_gives_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    begin, begun = Thread.start, []

    def start(thread: Thread) -> None:
        if len(begun) == 2:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        begin(thread)

    monkeypatch.setattr(Thread, "start", start)
    with pytest.raises(StoreError, match=r"workers=9 \(--workers\): .* no more than 2 threads; name fewer"):
        Readers(9).__enter__()
    for thread in begun:
        thread.join(10)
        assert not thread.is_alive()
