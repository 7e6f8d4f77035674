"""WebDataset tars: the files of one name are a row, such as ``0001.jpg``, ``0001.txt``, ``0001.json``, ``0001.cls``.

Images of a plain tar stay where they are, and are read from there; those of a compressed one are held.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from tarfile import TarError
from typing import IO, Any, cast

from huse.extract.images.tar_members import Member, members
from huse.extract.manifest.cells import Cell, CellError, Image, cell_of, text_of
from huse.extract.manifest.image_names import image_suffixes, is_hidden
from huse.extract.manifest.table import Record, Table
from huse.features.errors import ManifestError
from huse.features.files.cache import local_copy

TARS = (".tar", ".tgz")
COMPRESSED = (".gz", ".tgz")

KEY_AND_KIND = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)", re.DOTALL)
"""A name up to the first dot of its last part, and what is behind that."""

FILES = {"txt": "text", "cls": "label"}
"""What the files of a row hold by their kinds, unless its .json says it."""

LONGEST = 1 << 26
"""Most bytes of a text or a .json."""

UNIQUE = "sort its names, so that the files of a row are together, or name a field of its .json by key (--key-column)"


def is_tar(path: Path) -> bool:
    """Whether a file is a tar by its name."""
    return path.name.lower().endswith((".tar", ".tar.gz", ".tgz"))


@dataclass
class _Sample:
    """The files of one key by their kinds, and the fields of its .json."""

    images: dict[str, Cell] = field(default_factory=dict)
    texts: dict[str, Cell] = field(default_factory=dict)
    fields: dict[str, Cell] = field(default_factory=dict)


def read_webdataset(path: Path, inside: str, names: Mapping[str, str]) -> Table:
    """The table of a tar.

    Args:
        path: the file.
        inside: what it is called in the manifest's folder.
        names: the column of each of image, text, label, split and key: a kind of file, or a field of the .json.

    Raises:
        ManifestError: while reading: it is no tar or a damaged one, or a .json is none.
    """
    columns: dict[str, None] = {}
    return Table(columns, _records(_Reader(path, inside, names, columns)), unique=UNIQUE)


def _records(reader: _Reader) -> Iterator[Record]:
    number = 0
    try:
        with _opened(reader.path) as (file, stream):
            for key, its in groupby(_named(members(file, stream)), lambda named: named[0]):
                record = reader.record(key, ((kind, member) for _, kind, member in its))
                number += 1
                yield number, record
    except TarError as error:
        what = f"damaged after row {number}" if number else "not a tar file, or damaged"
        raise ManifestError(f"{reader.path}: {what} ({error}); copy or pack it again, or leave it out") from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], bool]]:
    """The file, and whether it can be read in order only."""
    with local_copy(path).open("rb") as file:
        if path.suffix.lower() not in COMPRESSED:
            yield file, False
            return
        with gzip.open(file) as unpacked:
            yield cast(IO[bytes], unpacked), True


def _named(found: Iterator[Member]) -> Iterator[tuple[str, str, Member]]:
    """Key and kind of each member that has them."""
    for member in found:
        parts = KEY_AND_KIND.fullmatch(member.name)
        if parts and not any(map(is_hidden, member.name.split("/"))):
            yield parts[1], parts[2].lower(), member


class _Reader:
    """What makes records of the members of a tar; arguments as `read_webdataset`.

    Args:
        columns: filled with the names of the columns as they are found.
    """

    def __init__(self, path: Path, inside: str, names: Mapping[str, str], columns: dict[str, None]) -> None:
        self.path, self._inside, self._names, self._columns = path, inside, names, columns
        self._wanted = set(names.values())
        self._held = path.suffix.lower() in COMPRESSED

    def record(self, key: str, its: Iterator[tuple[str, Member]]) -> dict[str, Cell]:
        """The row of a key, of the files that are called so."""
        sample = _Sample()
        for kind, member in its:
            self._columns[kind] = None
            if kind == self._names["image"] or f".{kind.rpartition('.')[2]}" in image_suffixes():
                sample.images.setdefault(kind, self._image(member))
            elif kind in FILES or kind in self._wanted:
                sample.texts.setdefault(kind, text_of(self._read(member)))
            elif kind == "json":
                sample.fields.update(self._fields(member))
        return self._joined(key, sample)

    def _joined(self, key: str, sample: _Sample) -> dict[str, Cell]:
        """What a row has by its kinds of files, its fields, and under the usual names."""
        record: dict[str, Cell] = {"key": key, **sample.images}
        record |= {column: sample.texts[kind] for kind, column in FILES.items() if kind in sample.texts}
        record |= {"image": next(iter(sample.images.values()))} if sample.images else {}
        usual = "image" if sample.images else ""
        record |= {name: cell for name, cell in sample.fields.items() if name != usual} | sample.texts
        self._columns.update(dict.fromkeys(record))
        return record

    def _image(self, member: Member) -> Cell:
        name = f"{self._inside}/{member.name}"
        return Image(self._read(member, name), name) if self._held else name

    def _read(self, member: Member, image: str = "") -> bytes:
        if member.size > LONGEST and not image:
            raise ManifestError(
                f"{self.path}: {member.name} has {member.size} bytes, where a text has {LONGEST} at most"
            )
        return member.read()

    def _fields(self, member: Member) -> dict[str, Cell]:
        """The fields of a .json that are columns."""
        try:
            values = json.loads(self._read(member))
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"{self.path}: {member.name} is not JSON ({error}); write one whole object") from error
        if not isinstance(values, dict):
            raise ManifestError(
                f"{self.path}: {member.name} is not a JSON object; write {{...}}, with a value a column"
            )
        self._columns.update(dict.fromkeys(values))
        wanted = (name for name in values if name in self._wanted)
        return {name: cell for name in wanted if (cell := self._cell(member, name, values[name]))}

    def _cell(self, member: Member, name: str, value: Any) -> Cell:
        try:
            return cell_of(value, name == self._names["image"])
        except CellError as error:
            raise ManifestError(f"{self.path}: {member.name}: column {name!r} {error}") from error
