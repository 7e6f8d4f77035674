"""Where an image lies, and what would be there when nothing is."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from huse.features.files.place import DRIVE, FILE_URL, is_remote, is_url

ESCAPED_BYTE = re.compile(rb"\\x([0-9a-f]{2})")
ODD = re.compile(r"[:\\]|^~", re.MULTILINE)
"""What is in a location that is not simply a path from the folder, or an absolute one."""

DOTS = re.compile(r"/\.{1,2}(?:/|$)")
"""A part of a URL that is no name."""

START = "paths start from the manifest's folder"

MOST_NAMES = 100_000
"""Folders of more entries are not looked through for a name that is nearly right."""


def image_location(written: str, folder: Path) -> str:
    """Where an image lies: a path, or a URL of another scheme than ``file``.

    Args:
        written: as in the manifest: a path, absolute or relative, perhaps from ``~`` on, or a URL.
        folder: what relative paths start from; may be of objects.
    """
    if is_remote(folder):
        if not written.startswith("/") and not is_url(written) and not FILE_URL.match(written):
            return _without_dots(f"{str(folder).rstrip('/')}/{written}")  # a bucket itself ends in one
        folder = Path()
    if FILE_URL.match(written):
        path = FILE_URL.sub("", written, count=1)
        return local_path(folder, path if is_there(folder / path) else unquote(path))
    return written if is_url(written) else local_path(folder, written)


def image_locations(written: Sequence[str], folder: Path) -> list[str]:
    """`image_location` of each of many."""
    start = f"{folder}/"
    if not is_remote(folder) and not ODD.search("\n".join(written)):  # the same, ten times as fast
        return [each if each[0] == "/" else start + each for each in written]
    return [image_location(each, folder) for each in written]


def are_relative(written: NDArray[np.object_], folder: Path) -> NDArray[np.bool_]:
    """(n,) which images are written as starting from a folder; an empty name is no image."""
    named = np.flatnonzero(written != "")
    relative = np.zeros(len(written), bool)
    relative[named] = written[named] != np.array(image_locations(written[named].tolist(), folder), object)
    return relative


def _without_dots(url: str) -> str:
    """A URL whose parts ``.`` and ``..`` are gone into, as stores do not by themselves."""
    scheme, _, path = url.partition("://")
    if not DOTS.search(path):
        return url
    bucket, _, name = path.partition("/")
    return f"{scheme}://{bucket}{posixpath.normpath(f'/{name}')}"


def local_path(folder: Path, written: str) -> str:
    """A path on this machine; bytes of a name that are not UTF-8 may be written as backslash, x and two digits."""
    path = str(folder / written)
    if written.startswith("~/") and not os.path.lexists(path):
        with suppress(RuntimeError):  # without a home
            path = str(Path(written).expanduser())
    if "\\x" in written and not os.path.lexists(path):
        raw = ESCAPED_BYTE.sub(lambda found: bytes.fromhex(found[1].decode()), os.fsencode(path))
        if os.path.lexists(raw):
            return os.fsdecode(raw)
    return path


def nearest_image(written: str, folder: Path) -> str:
    """What to say of an image that is not where the manifest says: where it is, if one thing is written otherwise.

    A store keeps it, so it does not tell from where the manifest was read.

    Returns:
        A sentence such as ``a b.png is there: decode %20``, or nothing when the image is there or cannot be seen.
    """
    if is_remote(folder):  # looking costs requests
        return ""
    try:
        return _nearest(written, folder, image_location(written, folder))
    except (OSError, ValueError):  # what is looked at may go or be closed, and not every text is a path
        return ""


def _nearest(written: str, folder: Path, location: str) -> str:
    if is_url(location) or not _is_missing(location):
        return ""
    if os.path.lexists(location):
        return f"a link to {Path(location).readlink()}, where nothing is"
    path = FILE_URL.sub("", written, count=1)
    spellings = list(_respelled(path))
    for changed, what in spellings:
        if is_there(folder / changed):
            return f"but {changed} is there: {what}"
    for changed, _ in spellings:
        if found := _found_loosely(folder / changed):
            shown = found if Path(changed).is_absolute() else found.relative_to(folder)
            return f"but {shown} is there: case, spaces or the form of accents differ"
    return _elsewhere(path, folder)


def _respelled(path: str) -> Iterator[tuple[str, str]]:
    slashed = path.replace("\\", "/")
    yield path, "as it is"
    if slashed != path:
        yield slashed, "write / for \\"
    if unquote(slashed) != slashed:
        yield unquote(slashed), "decode %20 and the like"
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, slashed)
        if other != slashed:
            yield other, f"the name is in Unicode's form {form}"
    for suffix in (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG", ".webp"):
        yield slashed + suffix, f"add {suffix}"
        yield slashed.removesuffix(Path(slashed).suffix) + suffix, f"its suffix is {suffix}"


def _elsewhere(path: str, folder: Path) -> str:
    if DRIVE.match(path.removeprefix("/")) and os.name != "nt":
        return "a path of another machine; write paths relative to the manifest"
    relative = path.replace("\\", "/").lstrip("/")
    if is_there(folder / ".." / relative):
        return f"but it is there from the folder above the manifest's; {START}"
    if path.startswith("/") and is_there(folder / relative):
        return "but it is there from the manifest's folder; leave out the / at its start"
    name = relative.rpartition("/")[2]
    if name != relative and is_there(folder / name):
        return f"but {name} is there; leave out the folders"
    return "" if path.startswith(("/", "~/")) else START


def _found_loosely(path: Path) -> Path | None:
    """The path with every part as its folder has it, where only case, Unicode form or spaces differ; else None."""
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        if os.path.lexists(found / part):
            found = found / part
            continue
        names = _names(found, found.stat().st_mtime_ns) if found.is_dir() else {}
        if loose(part) not in names:
            return None
        found = found / names[loose(part)]
    return found


@lru_cache(maxsize=4)
def _names(folder: Path, _changed: int) -> dict[str, str]:
    """The names in a folder by what is alike of them; asked for again when the folder has changed."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return {}
    return {} if len(names) > MOST_NAMES else {loose(name): name for name in names}


def _is_missing(path: str | Path) -> bool:
    """Whether nothing is at a path; of one that leads through what cannot be entered that is not known."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def is_there(path: str | Path) -> bool:
    """Whether something is at a path; nothing is at one that no file can have."""
    try:
        Path(path).stat()
    except (OSError, ValueError):
        return False
    return True


def loose(name: str) -> str:
    """What is the same of names that differ in case, Unicode form or spaces only."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())
