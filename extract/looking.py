"""How images look without being read: a file by its size and times, a URL by what its store says of the content."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from huse.extract.images.tar_members import tar_of
from huse.extract.readers import Readers
from huse.features.extras import require
from huse.features.files.cache import TOKENS
from huse.features.files.place import as_remote, is_remote, is_url
from huse.features.looks import UNKNOWN, Values

LOOKS_A_STEP, FIRST_STEP = 1000, 100
"""Files that are looked at one after the other; after the first of them it is known how long that takes."""

SLOW_SECONDS = 50e-6
"""Time to look at a file from which on several threads pay, as over a network; else they hinder each other."""

SETTLED_NS = 3_000_000_000
"""By how much a file must be older than the moment of looking: one that is written to twice within the resolution of
its disk's clock (2 s at worst) would look the same both times."""

MOST = (1 << 63) - 1


def look_at_files(
    locations: Sequence[str],
    readers: Readers,
    *,
    first: int = FIRST_STEP,
    step: int = LOOKS_A_STEP,
    slow_seconds: float = SLOW_SECONDS,
) -> Values:
    """(n, 2) how files look, by several threads where the disk is slow; unknown what is none, or was just written.

    Args:
        locations: paths.
        readers: the threads.
        first: files that are looked at to know how long that takes.
        step: files that are looked at one after the other then.
        slow_seconds: time a file from which on the disk is slow.
    """
    began = time.perf_counter()
    looks = [_settled(locations[:first])]
    slow = time.perf_counter() - began > slow_seconds * first
    steps = [locations[i : i + step] for i in range(first, len(locations), step)]
    looks += readers.ordered(_settled, steps, len(steps) + 1) if slow else map(_settled, steps)
    return np.concatenate(looks)


def look_at_all(locations: Sequence[str], readers: Readers) -> Values:
    """As `look_at_files`, and at what URLs lead to as well."""
    looks = look_at_files(locations, readers)
    unknown = np.flatnonzero((looks == UNKNOWN).all(axis=1)).tolist()
    urls = {i: tar_of(locations[i]) or locations[i] for i in unknown if is_url(locations[i])}
    once = list(dict.fromkeys(urls.values()))
    found = dict(zip(once, readers.ordered(look_at_url, once, len(once) + 1), strict=True))
    for i, url in urls.items():
        looks[i] = found[url]
    return looks


def look_at_url(url: str) -> tuple[int, int]:
    """How what a URL leads to looks; unknown when its store does not say."""
    try:
        system, path = require("fsspec", "remote", "an image by URL").core.url_to_fs(url)
        told = system.info(path)
    except Exception:  # noqa: BLE001 - a file system may raise anything; whoever reads the image tells what is wrong
        return UNKNOWN
    return _look_of(told)


def look_at_place(path: Path) -> tuple[int, int]:
    """How one file or object looks; unknown when its store does not say, or it was just written.

    Raises:
        OSError: an object is not there, or cannot be reached.
    """
    if is_remote(path):
        return _look_of(as_remote(path).described())
    size, changed = _settled([str(path)])[0].tolist()
    return size, changed


def folder_digest(folder: Path) -> str:
    """A digest of where a folder is, its links followed: what is called the same in another one is something else."""
    where = str(folder) if is_remote(folder) else os.path.realpath(folder)
    return hashlib.sha256(os.fsencode(where)).hexdigest()


def _look_of(told: Mapping[str, Any]) -> tuple[int, int]:
    """The look of an object by what its store says of it."""
    token = next((str(told[name]) for name in TOKENS if told.get(name)), "")
    if not token or token.startswith("W/"):  # a weak one stays the same when bytes change
        return UNKNOWN
    digest = hashlib.blake2b(f"{told.get('size')} {token}".encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], signed=True), int.from_bytes(digest[8:], signed=True)


def _settled(locations: Sequence[str]) -> Values:
    before = time.time_ns() - SETTLED_NS
    try:
        found = list(map(os.stat, locations))
        looks = np.array([[file.st_size for file in found], [file.st_mtime_ns & MOST for file in found]], np.int64).T
    except (OSError, ValueError):  # one of them is not there
        looks = np.array([_look(location) for location in locations], np.int64).reshape(-1, 2)
    looks[looks[:, 1] >= before] = UNKNOWN
    return looks


def _look(location: str) -> tuple[int, int]:
    try:
        found = os.stat(location)  # noqa: PTH116 - of millions of files, a path object each costs more than the call
    except NotADirectoryError:
        tar = tar_of(location)  # a file in it stays the same as long as it does
        return UNKNOWN if tar is None else _look(tar)
    except (OSError, ValueError):
        return UNKNOWN
    return found.st_size, found.st_mtime_ns & MOST
