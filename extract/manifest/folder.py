"""A folder of images as a table: sub-folders are labels, and the topmost may be splits."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from huse.extract.manifest.cells import Cell
from huse.extract.manifest.image_names import image_suffixes, is_hidden, is_of_set, leave_out
from huse.extract.manifest.locations import is_there
from huse.extract.manifest.notices import notify
from huse.extract.manifest.remote_folder import RemoteWalk
from huse.extract.manifest.table import Record, Table
from huse.features.errors import ManifestError
from huse.features.files.place import is_remote
from huse.features.splits import split_of


def read_folder(walk: Walk, image: str, label: str, split: str) -> Table:
    """The table of a folder of images.

    Args:
        walk: the folder; its hidden files and folders and those of file systems are left out.
        image: column that the images become.
        label: column that the sub-folders become.
        split: column that the topmost sub-folders become when all that hold images are named for splits.

    Raises:
        ManifestError: while reading: a folder cannot be read, or there are no images.
    """
    splits = _splits(walk)
    columns = dict.fromkeys((image, label, split) if splits else (image, label))
    return Table(columns, _records(walk, image, label, split, splits), of_folder=True)


def walk_of(folder: Path) -> Walk:
    """What is below a folder; errors of reading it are `ManifestError`."""
    return RemoteWalk(folder) if is_remote(folder) else LocalWalk(folder)


@dataclass
class LocalWalk:
    """The images below a folder, and how many of what else there were."""

    folder: Path
    left_out: Counter[str] = field(default_factory=Counter)
    seen: set[tuple[int, int]] = field(default_factory=set)
    tables: list[str] = field(default_factory=list)

    def topmost(self) -> list[str]:
        """The names of the sub-folders that are not hidden."""
        return [entry.name for entry in _entries(self.folder) if _is_folder(entry) and not is_hidden(entry.name)]

    def holds_images(self, name: str) -> bool:
        """Whether there is an image below a sub-folder."""
        return any(LocalWalk(self.folder / name).images())

    def tables_alone(self) -> list[str]:
        """The tables that come in several files, where there are no images."""
        walk = LocalWalk(self.folder)
        return [] if any(walk.images()) else sorted(filter(is_of_set, walk.tables))

    def images(
        self, inside: tuple[str, ...] = (), above: tuple[tuple[int, int], ...] = (), linked: bool = False
    ) -> Iterator[tuple[str, ...]]:
        """The path of every image, as its parts: those of a folder, then those of its sub-folders."""
        here = self.folder.joinpath(*inside)
        above = (*above, _identity(here))
        self.seen.add(above[-1])
        folders = []
        for entry in _entries(here):
            if _is_folder(entry):
                folders.append(entry)
            elif self._is_image(entry, inside):
                yield (*inside, entry.name)
        for entry in folders:
            link, identity = entry.is_symlink(), _identity(here / entry.name)
            if is_hidden(entry.name):
                self.left_out["hidden or system folders"] += 1
            elif identity in above or (link and linked and identity in self.seen):
                self.left_out["links back to a folder"] += 1
            else:
                yield from self.images((*inside, entry.name), above, linked or link)

    def _is_image(self, entry: os.DirEntry[str], inside: tuple[str, ...]) -> bool:
        suffix = Path(entry.name).suffix.lower()
        broken = entry.is_symlink() and not is_there(entry.path)
        if is_hidden(entry.name):
            self.left_out["hidden files"] += 1
        elif suffix in image_suffixes() and (broken or entry.is_file()):
            return True  # a link that leads nowhere today keeps what is stored of it
        elif broken:
            self.left_out["broken links"] += 1
        else:
            leave_out((*inside, entry.name), self.left_out, self.tables)
        return False


Walk = LocalWalk | RemoteWalk
"""What is below a folder."""


def _records(walk: Walk, image: str, label: str, split: str, splits: dict[str, str]) -> Iterator[Record]:
    number = 0
    for number, parts in enumerate(walk.images(), start=1):
        shown = [_shown(part) for part in parts]
        record: dict[str, Cell] = {image: "/".join(shown)}
        above = shown[:-1]
        if splits and above:
            record[split] = splits[parts[0]]
            above = above[1:]
        yield number, record | {label: "/".join(above)}
    left_out = ", ".join(f"{count} {what}" for what, count in sorted(walk.left_out.items()))
    if not number:
        raise ManifestError(f"{walk.folder}: {_nothing(walk, left_out)}")
    if left_out:
        also = f"; {walk.tables[0]} as MANIFEST would bring its own columns" if walk.tables else ""
        notify(f"{walk.folder}: {number} images, left out {left_out}{also}")


def _nothing(walk: Walk, left_out: str) -> str:
    if walk.tables:
        return f"no images in this folder, but the table {walk.tables[0]}; name that file"
    beside = f", but {left_out}" if left_out else ""
    return f"no images and no store.json in this folder{beside}; add some, or name another"


def _splits(walk: Walk) -> dict[str, str]:
    """The split of each topmost folder; none when one that holds images is named for something else."""
    names = walk.topmost()
    known = {name: split for name in names if (split := split_of(name)) is not None}
    if not known:
        return {}
    for name in names:
        if name not in known and walk.holds_images(name):
            folders = ", ".join(sorted(known))
            notify(f"{walk.folder}: folders {folders} are taken for classes, not splits, since {name} is none")
            return {}
    return known


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise ManifestError(
            f"{folder}: this folder cannot be read ({error.strerror or error}); make it readable, or move it away"
        ) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _shown(name: str) -> str:
    """A name that UTF-8 can hold: other bytes are written by their number, see `local_path`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
