"""One writer at a time: a store, a model or an output is locked while a command fills it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm


@contextmanager
def locked(path: Path, part: str = "") -> Iterator[None]:
    """Holds the lock of what is written at `path`; waits, saying so once, while another process holds it.

    The lock is of the operating system, so that a dead process holds nothing; its file stays.

    Args:
        path: file or folder that is written; need not be there.
        part: name of a share of the work; different shares run side by side.

    Raises:
        OSError: the lock's file cannot be made.
    """
    lock = FileLock(lock_path(path, part))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tqdm.write(f"waiting for another process that writes {path}", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def lock_path(path: Path, part: str = "") -> Path:
    """The file of a lock: beside `path`, or in it where the folder around it cannot be written, as of a mount."""
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f"{part}.lock" if part else "lock"
    if path.is_dir() and (path.is_mount() or not os.access(path.parent, os.W_OK)):
        return path / f".{name}"
    return path.with_name(f".{path.name}.{name}")
