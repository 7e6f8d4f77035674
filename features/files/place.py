"""Where something lies: a path of this machine, or the URL of an object or a folder of objects. One rule for all."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from huse.features.errors import HuseError, PlaceError

if TYPE_CHECKING:
    from huse.features.files.remote import Remote

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
FILE_URL = re.compile(r"file:(?://(?:localhost(?=/))?|(?=/))", re.IGNORECASE)
CHAIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+::.*://", re.DOTALL)
"""How a URL through another file system begins, such as ``simplecache::s3://``."""

SQUEEZED = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
"""First part of a path that was a URL: pathlib takes one of its two slashes."""


def place(given: str | Path | Any) -> Path:
    """The path of what was named: a `Path` of this machine, or for a URL something that does what a `Path` does.

    fsspec is imported for URLs alone.

    Args:
        given: a path, a URL of any scheme that fsspec knows, or a `UPath` with options of its own.

    Raises:
        PlaceError: a URL that has gone through `Path`, or through another file system.
        ExtraError: a URL, and the package that reads it is not installed.
    """
    if isinstance(given, PurePath):
        return _here(Path(given))
    if isinstance(given, str):
        if FILE_URL.match(given):
            return Path(unquote(FILE_URL.sub("", given, count=1)))
        if CHAIN.match(given):
            raise PlaceError(f"{given}: goes through another file system; name the URL that it ends with")
        if not SCHEME.match(given):
            return _here(Path(given))
    from huse.features.files.remote import remote

    return cast(Path, remote(given))


def _here(path: Path) -> Path:
    if SQUEEZED.fullmatch(path.parts[0] if len(path.parts) > 1 else ""):
        raise PlaceError(f"{path}: has lost a slash of its ://, as in pathlib.Path; give a URL as a string")
    return path


def is_remote(path: Path) -> bool:
    """Whether a place is not of this machine."""
    return not isinstance(path, PurePath)


def real_path(path: str | Path) -> Path:
    """Where a path leads; a link that leads to itself stays as it is, where `Path.resolve` raises RuntimeError."""
    there = place(path)
    return there if is_remote(there) else Path(os.path.realpath(there))


def as_remote(path: Path) -> Remote:
    """A place that is not of this machine, as what it is."""
    return cast("Remote", path)


def make_folder(path: Path) -> None:
    """Makes a folder and those above it; in a store of objects folders are there with what is in them."""
    if not is_remote(path):
        path.mkdir(parents=True, exist_ok=True)


def reopen(path: Path) -> None:
    """What is opened anew is looked at anew: what this process has seen of the objects at a place counts no more."""
    if is_remote(path):
        from huse.features.files.remote import look_again

        look_again(path)


def local(given: str | Path, error: type[HuseError], purpose: str) -> Path:
    """The path of what was named, where it has to be on this machine.

    Args:
        given: as `place` takes it.
        error: what to raise.
        purpose: what needs it there, for the message.

    Raises:
        HuseError: it is a URL.
    """
    path = Path(given) if isinstance(given, PurePath) else place(given)
    if is_remote(path):
        raise error(f"{given}: {purpose} takes paths of this machine, no URLs; name one, and copy it")
    return place(path)
