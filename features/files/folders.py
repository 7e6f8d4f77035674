"""Folders that a command makes: nothing that is there already is written into."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from huse.features.errors import HuseError
from huse.features.files.atomic import is_own_trace
from huse.features.files.place import is_remote, place, real_path
from huse.features.files.put import is_half_put, try_to_put

FILE_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}")
"""What reads like the suffix of a file, such as ``.csv``; ``.1`` and ``.store-of-mine`` do not."""

FOLDER_SUFFIX = re.compile(r"\.(store|model|huse|new|old|v[0-9]+)")
"""What reads like a file's suffix, but is a usual end of a folder's name."""


def require_folder_name(folder: Path, error: type[HuseError], others: str = "") -> None:
    """Refuses the name of a new folder that reads like a file's, as of a format that cannot be written.

    Args:
        folder: what is to be made; one that is there already may have any name.
        error: what to raise.
        others: the files that could be written, for the message, such as ``a file .npy or .parquet``.
    """
    like_a_file = FILE_SUFFIX.fullmatch(folder.suffix) and not FOLDER_SUFFIX.fullmatch(folder.suffix)
    if like_a_file and not folder.is_dir():
        raise error(f"{folder}: unknown suffix {folder.suffix}; name a folder without one{others and ', or ' + others}")


def require_apart(out: Path, error: type[HuseError], *inputs: str | Path) -> None:
    """Refuses to write over what is read: an output that is an input, by whatever name, or lies in a folder of one.

    Args:
        out: file or folder to be written.
        error: what to raise.
        inputs: files and folders that are read.
    """
    target = real_path(out)
    for entry in map(place, inputs):
        source = real_path(entry)
        if is_remote(source) != is_remote(target):
            continue
        same = not is_remote(target) and out.exists() and entry.exists() and out.samefile(entry)
        if same or source == target or (source in target.parents and source.is_dir()):
            where = "is what is read" if same or source == target else f"lies in {entry}, which is read"
            raise error(f"{out}: {where}; name another output")


def require_place(
    folder: str | Path, error: type[HuseError], out: str | Path = "", instead: str = "name another output"
) -> None:
    """Refuses, before any work, a folder that cannot be made or written; a nameless file or an object is tried there.

    Args:
        folder: need not be there.
        error: what to raise; of an object store, an `OSError` says what it says.
        out: what is to be written, for the message; the folder itself by default.
        instead: another way out, for the message.
    """
    there = place(folder)
    if is_remote(there):
        try_to_put(there)
        return
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise error(f"{out or folder}: {there} is a file; name a folder, or a new one")
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as problem:
        what = f"the folder {there} cannot be written ({problem.strerror})"
        raise error(f"{out or folder}: {what}; make it writable, or {instead}") from problem


def require_new(out: Path, error: type[HuseError], *inputs: str | Path, others: str = "") -> None:
    """Refuses, before any work, a folder to be made that is there, is read, is named as a file, or has no place.

    Args:
        out: may be there if it is empty.
        error: what to raise.
        inputs: files and folders that are read.
        others: see `require_folder_name`.
    """
    require_apart(out, error, *inputs)
    require_folder_name(out, error, others)
    require_empty(out, error)
    require_place(out, error)


def require_empty(folder: Path, error: type[HuseError]) -> None:
    """Refuses a folder with something in it, or a file of its name.

    Args:
        folder: may be absent, or empty.
        error: what to raise.
    """
    if is_half_put(folder):
        return
    if folder.exists() and not (folder.is_dir() and all(is_own_trace(entry.name) for entry in folder.iterdir())):
        raise error(f"{folder}: is there already; name a new or empty folder")


def link_files(folder: Path, new: Path) -> None:
    """The files of a folder in another as well; no bytes are copied where the disk allows it."""
    if is_remote(folder) or not folder.exists():  # of objects it stays where it is
        return
    new.mkdir()
    for file in folder.iterdir():
        if file.is_file() and not file.name.startswith("."):
            try:
                (new / file.name).hardlink_to(file)
            except OSError:
                shutil.copy2(file, new / file.name)
