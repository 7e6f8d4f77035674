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

DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
"""How paths of Windows begin."""

SQUEEZED = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
"""First part of a path that was a URL: pathlib takes one of its two slashes."""


def is_url(text: str) -> bool:
    """Whether a text begins as URLs do; a ``://`` further on may stand in the name of a file."""
    return bool(SCHEME.match(text) or CHAIN.match(text))


def place(given: str | Path | Any) -> Path:
    """The path of what was named: a `Path` of this machine, or for a URL something that does what a `Path` does.

    fsspec is imported for URLs alone.

    Args:
        given: a path, a URL of any scheme that fsspec knows, or a `UPath` with options of its own.

    Raises:
        PlaceError: a URL that has gone through `Path`, or through another file system; a ``file:`` URL of no path from
            the root on; a path of Windows elsewhere.
        ExtraError: a URL, and the package that reads it is not installed.
    """
    if isinstance(given, PurePath):
        return _here(Path(given))
    if isinstance(given, str):
        if given[:5].lower() == "file:":
            return _of_file_url(given)
        if CHAIN.match(given):
            raise PlaceError(f"{given}: goes through another file system; name the URL that it ends with")
        if not SCHEME.match(given):
            return _here(Path(given))
    from huse.features.files.remote import remote

    return cast(Path, remote(given))


def _of_file_url(url: str) -> Path:
    path = unquote(FILE_URL.sub("", url, count=1))
    if not path.startswith("/"):
        raise PlaceError(f"{url}: is no path from the root on; write file:///PATH, or the path alone")
    return Path(path)


def _here(path: Path) -> Path:
    if SQUEEZED.fullmatch(path.parts[0] if len(path.parts) > 1 else ""):
        raise PlaceError(f"{path}: has lost a slash of its ://, as in pathlib.Path; give a URL as a string")
    if os.name != "nt" and DRIVE.match(str(path)):
        raise PlaceError(f"{path}: is a path of Windows; name one of this machine")
    return path


def is_remote(path: Path) -> bool:
    """Whether a place is not of this machine."""
    return not isinstance(path, PurePath)


def real_path(path: str | Path) -> Path:
    """Where a path leads; a link that leads to itself stays as it is, where `Path.resolve` raises RuntimeError."""
    there = place(path)
    return there if is_remote(there) else Path(os.path.realpath(there))


def is_file(path: str | Path) -> bool:
    """Whether a file is at a path of this machine; none is where nobody may look, nor under too long a name."""
    try:
        return Path(path).is_file()
    except OSError:
        return False


def folder_above(path: Path) -> Path:
    """The folder that something lies in, also where the path does not end in its name, as ``.`` and ``x/..``."""
    return path.parent if is_remote(path) or path.name not in ("", "..") else real_path(path).parent


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
