"""Files and folders that are there whole or not at all, whatever interrupts the writing; objects as `put` says."""

from __future__ import annotations

import errno
import os
import re
import socket
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from hashlib import sha256
from io import FileIO
from pathlib import Path
from shutil import copymode, rmtree
from uuid import uuid4

from huse.features.files.exchange_paths import exchange
from huse.features.files.place import is_remote, real_path
from huse.features.files.put import abort_forgotten, is_half_put, put_bytes, putting, putting_folder
from huse.features.files.sync import sync_files, sync_folder, sync_tree

FORGOTTEN_AFTER = 24 * 3600
"""Seconds after which a temporary file of another machine, whose processes cannot be seen from here, is a leftover."""

LONGEST_NAME = 100
"""Bytes of a name that a temporary name repeats; longer names are told by their digest."""

LOCK_SUFFIX = ".lock"
_OLDER_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.tmp", re.S)
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[\w-]+)-(?P<pid>\d+)-(?P<began>\d+)-[0-9a-f]{8}\.(tmp|old)", re.S)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; at the end it is synced to disk and renamed onto `path`.

    When the block raises, the temporary file is removed and `path` stays as it was. The folder is made if it is not
    there. An `OSError` tells the final name.
    """
    with replacing_files(path) as (temporary,):
        yield temporary


@contextmanager
def replacing_files(*paths: Path, sweep: bool = True) -> Iterator[list[Path]]:
    """As `replacing`, for files of one folder that belong together: all are synced before the first is renamed.

    Args:
        paths: the files.
        sweep: remove what dead processes left of earlier tries first; False when the caller has done it for the folder.
    """
    if is_remote(paths[0]):
        with putting(paths) as files:
            yield files
        return
    folder = paths[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    if sweep:
        for path in paths:
            remove_leftovers(path)
    temporaries = [temporary_beside(path) for path in paths]
    try:
        with ExitStack() as stack:
            for pair in reversed(list(zip(paths, temporaries, strict=True))):  # an error without a name is of the first
                stack.enter_context(naming(*pair))
            yield temporaries
            sync_files(temporaries)
            for path, temporary in zip(paths, temporaries, strict=True):
                temporary.replace(path)
            sync_folder(folder)
    except BaseException:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
        raise


def write_files(files: Mapping[Path, bytes], sweep: bool = True) -> None:
    """Writes files of one folder as `replacing_files` does.

    Raises:
        OSError: one could not be written; files whose turn had not come are as they were.
    """
    if is_remote(next(iter(files))):
        put_bytes(files)
        return
    with replacing_files(*files, sweep=sweep) as temporaries:
        for (path, content), temporary in zip(files.items(), temporaries, strict=True):
            with naming(path, temporary), temporary.open("wb", buffering=0) as file:
                _write_all(file, content)


@contextmanager
def replacing_folder(path: Path, overwrite: bool = False, keep: Collection[str] = ()) -> Iterator[Path]:
    """Yields a hidden folder beside `path` to fill; at the end all of it is synced and it takes the place of `path`.

    On Linux there is no moment without the folder while a full one is replaced. When the block raises, or the process
    is killed, nothing of it is under the final name; the next call removes what a dead process left. A folder that
    cannot be renamed (a mount point, the working directory, one in a folder that is not writable) is filled file by
    file instead, at the end.

    Args:
        path: the folder; none, or an empty one, is replaced plainly.
        overwrite: replace a folder with something in it too; what was in it is deleted.
        keep: names that stay in a folder that is filled file by file; into others they are to be linked.

    Raises:
        OSError: `path` is a file, or has something in it and is not to be overwritten.
    """
    path = real_path(path)
    _require_replaceable(path, overwrite)
    if is_remote(path):
        with putting_folder(path, keep) as new:
            yield new
            _require_replaceable(path, overwrite)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    stays = _must_stay(path)
    if not stays:
        remove_leftovers(path)
    temporary = temporary_beside(path / path.name if stays else path)
    temporary.mkdir()
    try:
        with naming(path, temporary):
            yield temporary
            sync_tree(temporary)
            _require_replaceable(path, overwrite)
            if stays:
                _move_into(temporary, path, keep)
            else:
                _swap(temporary, path)
            sync_folder(path.parent)
    finally:
        rmtree(temporary, ignore_errors=True)


def temporary_beside(path: Path, suffix: str = "tmp") -> Path:
    """A hidden name beside `path` that no other process takes, and that tells which process took it."""
    return path.with_name(f".{short_name(path.name)}.{_process(os.getpid())}-{uuid4().hex[:8]}.{suffix}")


def remove_leftovers(path: Path) -> None:
    """Removes the temporary files and folders that dead processes left of writing `path`.

    A folder that was put aside while another was to take its place, and whose process died between, is put back.
    """
    if is_remote(path):
        return
    for left, name in _leftovers(path.parent, f".{short_name(path.name)}."):
        if name == short_name(path.name):
            _remove(left, path)


def sweep(folder: Path) -> None:
    """Removes the temporary files and folders that dead processes left in a folder, whatever they were to become."""
    if is_remote(folder):
        abort_forgotten(folder)
        return
    for left, name in _leftovers(folder, "."):
        _remove(left, folder / name)


def is_own_trace(name: str) -> bool:
    """Whether a file name is a temporary one or a lock of huse: a folder with nothing else in it is empty."""
    if name.startswith(".") and name.endswith(LOCK_SUFFIX):
        return True
    return bool(_TEMPORARY.fullmatch(name) or _OLDER_TEMPORARY.fullmatch(name))


def short_name(name: str) -> str:
    """A file's name as hidden names beside the file repeat it: itself, or its digest where it is long."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= LONGEST_NAME else sha256(encoded).hexdigest()


def _leftovers(folder: Path, prefix: str) -> list[tuple[Path, str]]:
    """Temporary files and folders of dead processes, and the short name of what each was to become."""
    if not folder.is_dir():
        return []
    names = [entry.name for entry in os.scandir(folder) if entry.name.startswith(prefix)]
    matches = filter(None, map(_TEMPORARY.fullmatch, names))
    return [(folder / match[0], match["name"]) for match in matches if _is_dead(folder / match[0], match)]


def _remove(left: Path, final: Path) -> None:
    with suppress(OSError):  # another process is at it, or may not be
        if left.suffix == ".old" and not final.exists():
            left.rename(final)
        elif left.is_dir() and not left.is_symlink():
            rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _is_dead(path: Path, match: re.Match[str]) -> bool:
    if match["host"] == _host():
        return _began(int(match["pid"])) != match["began"]
    try:
        return time.time() - path.stat().st_mtime > FORGOTTEN_AFTER
    except FileNotFoundError:
        return False


@cache
def _process(pid: int) -> str:
    """What tells this process from all others, of this machine and elsewhere."""
    return f"{_host()}-{pid}-{_began(pid)}"


@cache
def _host() -> str:
    """The machine, and the container in it: the scope in which a process number means one process."""
    name = re.sub(r"[^\w-]", "_", socket.gethostname(), flags=re.ASCII)[:32]
    try:
        return f"{name}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return name


def _began(pid: int) -> str:
    """When a process of this machine began, in the kernel's ticks; 0 where that is not told, empty when it is dead."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return status.rpartition(")")[2].split()[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
    if os.name == "nt":
        return "0"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "0"
    return "0"


def _require_replaceable(path: Path, overwrite: bool) -> None:
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is a file; name a folder", str(path))
    if not (overwrite or not path.exists() or all(is_own_trace(e.name) for e in path.iterdir()) or is_half_put(path)):
        raise FileExistsError(errno.EEXIST, "is there already; name a new or empty folder", str(path))


def _must_stay(path: Path) -> bool:
    if not path.is_dir():
        return False
    return path.is_mount() or path.samefile(Path.cwd()) or not os.access(path.parent, os.W_OK)


def _move_into(temporary: Path, path: Path, keep: Collection[str]) -> None:
    old = [entry for entry in path.iterdir() if not is_own_trace(entry.name) and entry.name not in keep]
    new = sorted(entry for entry in temporary.iterdir() if entry.name not in keep)
    for entry in new:
        if (path / entry.name).is_dir():
            rmtree(path / entry.name)
        entry.replace(path / entry.name)
    for entry in old:
        if entry.name not in {other.name for other in new}:
            rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    sync_folder(path)


def _swap(temporary: Path, path: Path) -> None:
    if not path.exists():
        temporary.rename(path)
        return
    copymode(path, temporary)
    if exchange(temporary, path):
        return
    aside = temporary_beside(path, "old")
    path.rename(aside)
    try:
        temporary.rename(path)
    except OSError:
        aside.rename(path)
        raise
    rmtree(aside, ignore_errors=True)


def _write_all(file: FileIO, content: bytes) -> None:
    """Writes in sequence; a write that a full disk cut short is followed by one that tells why."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


@contextmanager
def naming(path: Path, temporary: Path) -> Iterator[None]:
    """Lets an error of the disk tell the name that the user gave, in place of a hidden one."""
    try:
        yield
    except OSError as error:
        told = str(temporary if error.filename is None else error.filename)
        if error.errno is not None and Path(told).is_relative_to(temporary):
            error.filename = str(path / Path(told).relative_to(temporary))
        raise
