"""Ctrl-C that nothing can swallow."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Yields a check that raises KeyboardInterrupt when Ctrl-C was pressed in the block and nothing came of it.

    Python raises it wherever the main thread is; in a destructor or a callback of native code it is printed and lost.
    A loop that calls the check ends all the same. Outside the main thread, which alone gets signals, it does nothing.
    """
    pressed = False

    def press(_: int, __: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if current_thread() is not main_thread() or before in (signal.SIG_IGN, None):  # as of a job in the background
        yield check
        return
    signal.signal(signal.SIGINT, press)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
