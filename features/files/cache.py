"""Objects of a store as files of this machine, kept by what they are: HDF5, Parquet and NumPy want a file.

`HUSE_CACHE` names the folder, `HUSE_CACHE_SIZE` the most that it holds, such as ``20GB``; what was used longest ago
goes first. A file is named by the digest of the object's URL and of what the store says of its content (ETag,
generation, ...), so that an object that was replaced has another. Several processes may share the folder.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from filelock import FileLock

from huse.features.errors import PlaceError, ShardError, UnreadableError
from huse.features.files.atomic import replacing
from huse.features.files.place import as_remote, is_remote

T = TypeVar("T")

MOST_BYTES = "20GB"
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

JUST_USED = 10.0
"""Seconds for which a file stays whatever its size: it is about to be opened."""

TOKENS = ("ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "blob_id", "xet_hash", "checksum", "Digest")
"""What file systems of fsspec call that which changes with the content."""

TELLS = (
    *TOKENS,
    *("generation", "last_commit", "size"),
    *("LastModified", "Last-Modified", "last_modified", "mtime", "modified", "created"),
)
"""What stores say of an object's content, each some of them."""

LOCKS = 3
"""Digits of a file's name that its lock is named by."""

_again: set[str] = set()


def local_copy(path: Path) -> Path:
    """A file of this machine with the content of a place: the path itself, or a copy of the object in the cache.

    What a process has seen of an object holds until it writes it, or until `look_again`.

    Raises:
        OSError: there is no such object, or it cannot be had.
        PlaceError: no copy can be kept in the cache, or `HUSE_CACHE_SIZE` is no size.
    """
    if not is_remote(path):
        return path
    from huse.features.files.remote import SEEN

    seen = SEEN.get(str(path))
    if seen is not None and _use(seen):
        return seen
    described = as_remote(path).described()
    if described["type"] != "file":
        raise IsADirectoryError(errno.EISDIR, "is a folder, not an object", str(path))
    file = cache_folder() / _name(path, described)
    try:
        with FileLock(_locks() / file.name[:LOCKS]):
            if not _use(file):
                _fetch(path, described.get("size"), file)
                _make_room(file)
    except OSError as error:
        if error.filename == str(path):  # what the store says
            raise
        raise _useless(file, error) from error
    SEEN[str(path)] = file
    return file


def healed(path: Path, read: Callable[[], T]) -> T:
    """What `read` gives of a file whose digests are checked; a damaged copy is fetched again, once.

    Raises:
        ShardError: the object itself is damaged.
    """
    try:
        return read()
    except UnreadableError:
        raise
    except ShardError:
        if not forget(path):
            raise
        return read()


def forget(path: Path) -> bool:
    """Removes the copy of an object, as it is damaged; False when there is none, or it was fetched anew before."""
    if not is_remote(path):
        return False
    from huse.features.files.remote import SEEN

    file = SEEN.pop(str(path), None)
    if file is None or file.name in _again:
        return False
    _again.add(file.name)
    file.unlink(missing_ok=True)
    return True


def cache_folder() -> Path:
    """Where copies are kept, made for this user alone."""
    named = os.environ.get("HUSE_CACHE")
    above = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named).expanduser() if named else above / "huse" / "objects"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _useless(folder, error) from error
    return folder


def _useless(place: Path, error: OSError) -> PlaceError:
    """What to say of a cache that cannot be written; no error of the object, whose shard would count as damaged."""
    reason = error.strerror or error
    return PlaceError(f"{place}: no copies of objects can be kept there ({reason}); name another folder by HUSE_CACHE")


def _locks() -> Path:
    folder = cache_folder() / "locks"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _name(path: Path, described: dict[str, Any]) -> str:
    """A name of its own for each look at an object whose store says nothing of its content."""
    told = [f"{name}={described[name]}" for name in TELLS if described.get(name) is not None]
    token = "\n".join(told) if len(told) > ("size" in described) else uuid4().hex
    return hashlib.sha256(f"{path}\n{token}".encode()).hexdigest()[:40] + path.suffix


def _use(file: Path) -> bool:
    """Notes that a file is used; False when it is not there."""
    try:
        os.utime(file)
    except FileNotFoundError:
        return False
    return True


def _fetch(path: Path, size: object, file: Path) -> None:
    from huse.features.files.remote import told

    with replacing(file) as temporary:
        with told(path):
            as_remote(path).fs.get_file(as_remote(path).path, str(temporary))
        there = temporary.stat().st_size
        if isinstance(size, int) and there != size:
            raise OSError(errno.EIO, f"came as {there} bytes of {size}; run it again", str(path))


def _make_room(kept: Path) -> None:
    """Removes what was used longest ago, until the rest is no more than allowed."""
    most, now = most_bytes(), time.time()
    files = []
    for entry in os.scandir(kept.parent):
        with suppress(FileNotFoundError):
            if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                files.append((entry.stat().st_mtime, entry.stat().st_size, entry.path))
    total = sum(size for _, size, _ in files)
    for used, size, name in sorted(files):
        if total <= most or now - used < JUST_USED:
            return
        Path(name).unlink(missing_ok=True)
        total -= size


def most_bytes() -> int:
    """The most that the cache holds.

    Raises:
        PlaceError: `HUSE_CACHE_SIZE` is no size.
    """
    written = os.environ.get("HUSE_CACHE_SIZE") or MOST_BYTES
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]B|)\s*", written.upper())
    if found is None:
        raise PlaceError(f"HUSE_CACHE_SIZE is {written!r}; name a size such as {MOST_BYTES} or 500MB")
    return int(float(found[1]) * UNITS[found[2]])
