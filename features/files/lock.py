"""One writer at a time for a store, a model or an output; a process that died holds nothing."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout
from tqdm import tqdm

from huse.features.files.atomic import LOCK_SUFFIX, naming, short_name
from huse.features.files.place import is_remote, place

POLL_SECONDS = 0.2


@contextmanager
def locked(path: str | Path, part: str = "") -> Iterator[None]:
    """Holds the right to write `path` while the block runs; waits for another process that has it, and says so once.

    The lock is the hidden file ``.NAME.lock`` beside the path, removed at the end; where that folder is not writable,
    the file ``.lock`` in it. The block may take the same lock again.

    Object stores have no locks, and nothing is held there: who writes one shard twice at once writes equal bytes.

    Args:
        path: a file or folder, which need not be there.
        part: writers of different parts do not wait for each other.

    Raises:
        OSError: the lock cannot be made there.
    """
    there = place(path)
    file = lock_path(there, part)
    if file is None:
        yield
        return
    lock = FileLock(file, is_singleton=True)
    with naming(there, file):
        _acquire(lock, file, path)
    try:
        if lock.lock_counter == 1 and not isinstance(lock, SoftFileLock):  # a soft lock's file is its own mark
            with suppress(OSError):
                file.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        if lock.lock_counter == 1 and os.name != "nt":
            file.unlink(missing_ok=True)  # while it is held: whoever has opened it sees that it is gone, and tries anew
        lock.release()


def _acquire(lock: BaseFileLock, file: Path, path: str | Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT))  # a place without files, as /proc, would be waited for for ever
        tqdm.write(f"{path}: waiting for {_holder(file)}, which writes it", file=sys.stderr)
        lock.acquire(poll_interval=POLL_SECONDS)


def lock_path(path: Path, part: str = "") -> Path | None:
    """The file of a lock: beside `path`, or in it where the folder around it cannot be written, as of a mount.

    None where there are no locks, as in a store of objects.
    """
    if is_remote(path):
        return None
    path = Path(os.path.realpath(path))
    name = f"{part}{LOCK_SUFFIX}" if part else LOCK_SUFFIX[1:]
    if path.is_dir() and (path.is_mount() or not os.access(path.parent, os.W_OK)):
        return path / f".{name}"
    return path.with_name(f".{short_name(path.name)}.{name}")


def _holder(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip() or "another process"
    except OSError:
        return "another process"
