"""Objects are put whole: what is written is made on this machine first, and an object is there or is not.

Object stores have no rename, so several objects do not change at one instant. What tells how many shards there are goes
first, what says that a model is whole goes last, and what is no longer wanted is removed after that.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from uuid import uuid4

from huse.features.files.place import as_remote, is_remote

T = TypeVar("T")

AT_ONCE = 8
"""Objects that are put or removed at a time."""

FIRST = ("store.json", "plan.json")
"""What a store is, and how many shards it is to have: without these two nothing counts as a shard."""

HALF = ".putting.lock"
"""Lies in a folder while it is put; what a killed process has left of one may be replaced like an empty one."""

LAST = ("config.json",)
"""What has the digests of all other files of a model: whatever does not match is refused."""

FORGOTTEN_AFTER = timedelta(days=1)
"""After so long an upload in parts that has not ended is of a process that has."""


def put_bytes(files: Mapping[Path, bytes]) -> None:
    """Puts objects of one folder, several at a time.

    Raises:
        OSError: one could not be put; others may have been.
    """
    from huse.features.files.remote import SEEN, told

    paths = [as_remote(path) for path in files]
    with told(paths[0] if len(paths) == 1 else paths[0].parent):
        paths[0].fs.pipe({path.path: content for path, content in zip(paths, files.values(), strict=True)})
    for path in files:
        SEEN.pop(str(path), None)


@contextmanager
def putting(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yields files of this machine to write; at the end of the block they are put, in this order."""
    with TemporaryDirectory(prefix="huse-put-") as folder:
        files = [Path(folder) / path.name for path in paths]
        yield files
        for path, file in zip(paths, files, strict=True):
            _put(path.parent, [file])


@contextmanager
def putting_folder(path: Path, keep: Collection[str] = ()) -> Iterator[Path]:
    """Yields a folder of this machine to fill; at the end of the block it takes the place of another, see above.

    Args:
        path: the folder; what is in it and not in the new one is removed.
        keep: names right below it that stay.
    """
    with TemporaryDirectory(prefix="huse-put-") as temporary:
        folder = Path(temporary) / (path.name or "root")
        folder.mkdir()
        yield folder
        old = objects_below(path)
        put_bytes({path / HALF: b""})
        new = sorted((file for file in folder.rglob("*") if file.is_file()), key=_turn)
        for _, files in groupby(new, lambda file: (_turn(file)[0], file.parent)):
            some = list(files)
            _put(path / some[0].parent.relative_to(folder).as_posix() if some[0].parent != folder else path, some)
        kept = {file.relative_to(folder).as_posix() for file in new}
        _remove(path, [name for name in old if name not in kept and name.split("/")[0] not in keep])
        (path / HALF).unlink(missing_ok=True)


def is_half_put(path: Path) -> bool:
    """Whether a process was killed, or is at work, while it put a folder of objects here."""
    return is_remote(path) and (path / HALF).exists()


def _turn(file: Path) -> tuple[int, Path]:
    return 0 if file.name in FIRST else 2 if file.name in LAST else 1, file


def _put(folder: Path, files: Sequence[Path]) -> None:
    """Puts files into a folder, several at a time."""
    from huse.features.files.remote import SEEN, told

    def put(file: Path) -> None:
        target = as_remote(folder / file.name)
        with told(target):
            target.fs.put_file(str(file), target.path)

    _all_at_once(put, files)
    for file in files:
        SEEN.pop(str(folder / file.name), None)


def objects_below(folder: Path) -> list[str]:
    """All objects below a folder, by their names in it."""
    from huse.features.files.remote import told

    here = as_remote(folder)
    with told(folder):
        names: list[str] = here.fs.find(here.path)
    start = f"{here.path.strip('/')}/"
    return [name.strip("/").removeprefix(start) for name in names if name.strip("/").startswith(start)]


def _remove(folder: Path, names: Sequence[str]) -> None:
    _all_at_once(lambda name: (folder / name).unlink(missing_ok=True), names)


def _all_at_once(work: Callable[[T], None], items: Sequence[T]) -> None:
    """Does some at a time; fsspec's own calls for several objects would take a ``[1]`` in a name for a pattern."""
    with ThreadPoolExecutor(AT_ONCE, "huse-put") as pool:
        list(pool.map(work, items))


@cache
def try_to_put(folder: Path) -> None:
    """Puts an empty object into a folder and removes it, once a process: credentials, bucket and network are there.

    Raises:
        OSError: they are not.
    """
    from huse.features.files.remote import told

    probe = folder / f".{uuid4().hex[:8]}.lock"  # where removing is forbidden, it is none of the folder's content
    try:
        with told(folder):
            as_remote(probe).fs.pipe_file(as_remote(probe).path, b"")
    except FileNotFoundError as error:  # objects need no folder
        raise OSError(errno.ENXIO, "no such bucket; make it, or name another", str(folder)) from error
    with suppress(PermissionError):
        probe.unlink(missing_ok=True)


def abort_forgotten(folder: Path) -> None:
    """Aborts uploads in parts, into a folder, that a dead process has begun a day ago; S3 would keep their bytes."""
    here = as_remote(folder)
    if not hasattr(here.fs, "list_multipart_uploads"):
        return
    bucket, _, start = here.path.partition("/")
    with suppress(Exception):  # it may not be allowed to look, and costs nothing but room
        for upload in here.fs.list_multipart_uploads(bucket):
            if _is_forgotten(upload, f"{start}/"):
                which = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
                here.fs.call_s3("abort_multipart_upload", Bucket=bucket, **which)


def _is_forgotten(upload: Mapping[str, Any], start: str) -> bool:
    return str(upload["Key"]).startswith(start) and datetime.now(UTC) - upload["Initiated"] > FORGOTTEN_AFTER
