"""Files and folders that are there whole or not at all, whatever interrupts the writing."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

_HOST = "".join(c if c.isalnum() else "-" for c in socket.gethostname())[:40]
_PROCESS = uuid4().hex[:8]
"""Tells this process from an earlier one of the same number, as in a restarted container."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; at the end it is synced to disk and renamed onto `path`.

    When the block raises, the temporary file is removed and `path` stays as it was. The folder is made if it is not
    there; what processes that are dead left of their writing of `path` is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    temporary = _beside(path)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yields a new folder beside `path`; at the end all in it is synced to disk and it takes the place of `path`.

    When the block raises, or the process is killed, `path` stays as it was. Where the system can exchange two names
    (Linux), there is no moment without the folder.

    Args:
        path: the folder; a link is followed.
        overwrite: replace what is there; otherwise it must be absent or empty.

    Raises:
        OSError: `path` is a file, is not empty and is not to be overwritten, or is a mount point.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    _require_replaceable(path, overwrite)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        for folder, _, files in os.walk(temporary):
            for name in files:
                _sync(Path(folder, name))
            _sync_folder(Path(folder))
        _require_replaceable(path, overwrite)
        _take_place(temporary, path)
        _sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(path: Path) -> None:
    """Removes the temporary files and folders that dead processes of this machine left of writing `path`.

    A folder that was put aside while another was to take its place, and whose process died between, is put back.
    """
    aside = path.with_name(f".{path.name}.old")
    if aside.exists() and not path.exists():
        aside.rename(path)
    for entry in leftovers(path):
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def leftovers(path: Path) -> list[Path]:
    """The temporary files and folders beside `path` of processes of this machine that are dead."""
    prefix = f".{path.name}.{_HOST}."
    if not path.parent.is_dir():
        return []
    named = [entry for entry in path.parent.iterdir() if entry.name.startswith(prefix) and entry.suffix == ".tmp"]
    return [entry for entry in named if _is_dead(entry.name.removeprefix(prefix).removesuffix(".tmp"))]


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{_HOST}.{os.getpid()}-{_PROCESS}-{uuid4().hex[:8]}.tmp")


def _is_dead(writer: str) -> bool:
    pid, _, rest = writer.partition("-")
    if not pid.isdecimal() or os.name == "nt":  # Windows cannot ask after a process without harm
        return False
    if int(pid) == os.getpid():
        return not rest.startswith(_PROCESS)
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _require_replaceable(path: Path, overwrite: bool) -> None:
    if path.is_mount():
        raise OSError(errno.EBUSY, "is a mount point; name a folder in it", str(path))
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is a file; name a folder", str(path))
    if path.exists() and not overwrite and any(path.iterdir()):
        raise FileExistsError(errno.EEXIST, "is there already; name a new or empty folder", str(path))


def _take_place(new: Path, path: Path) -> None:
    if not path.exists():
        new.rename(path)
    elif not any(path.iterdir()):
        path.rmdir()
        new.rename(path)
    elif not _exchange(new, path):
        aside = path.with_name(f".{path.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
        new.rename(path)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step; False where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    done: int = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return done == 0


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    if os.name != "nt":  # Windows has no handle on a folder to sync
        _sync(path)
