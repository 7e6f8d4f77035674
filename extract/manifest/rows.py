"""A manifest becomes checked rows; one that cannot be right as a whole is refused at once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huse.extract.images.decoding import ImageError
from huse.extract.images.reading import read_image
from huse.extract.manifest.cells import MISSING, Cell, Image, escaped, plain
from huse.extract.manifest.keys import (
    GIVEN,
    KEY_DIGEST_BYTES,
    NUMBERED,
    PATH,
    content_key,
    equal_groups,
    key_digest,
    make_unique,
)
from huse.extract.manifest.labels import label_path
from huse.extract.manifest.locations import image_location, nearest_image
from huse.extract.manifest.notices import notify
from huse.extract.manifest.records import open_table
from huse.extract.manifest.splits import split_of
from huse.extract.manifest.spool import ROWS_A_WRITE, ManifestRow, Spool
from huse.extract.manifest.table import Record
from huse.extract.manifest.written import written_digest
from huse.extract.texts import SURROGATES, clean_text
from huse.features.counted import counted
from huse.features.errors import ManifestError
from huse.features.files.place import place, reopen
from huse.features.modality import MODALITIES

COLUMNS = (*MODALITIES, "label", "split", "key")


@dataclass(frozen=True)
class Columns:
    """The names of the manifest's columns, and how its labels are written.

    Attributes:
        label_separator: what stands between the levels of a label, such as ``/``, ``>`` or ``::``; empty when labels
            have no levels. Labels of folders always have ``/``.
    """

    image: str = "image"
    text: str = "text"
    label: str = "label"
    split: str = "split"
    key: str = "key"
    label_separator: str = "/"

    @property
    def names(self) -> dict[str, str]:
        """The name of each of `COLUMNS`."""
        its = (self.image, self.text, self.label, self.split, self.key)
        return dict(zip(COLUMNS, its, strict=True))


@dataclass(frozen=True)
class Manifest:
    """The checked rows of a manifest; they lie on disk, so 5 million of them cost little memory.

    Attributes:
        path: the manifest.
        folder: what relative image paths start from.
        digests: (n,) 16-byte digest of each key, see `key_digests`.
        labels: the different labels, sorted.
        has_images: whether it has a column of images.
        has_texts: whether it has a column of texts.
        separator: of the levels of its labels.
        content: digest of the rows as they stand, images' bytes left out.
        spool: where the rows lie.
        written: digest of the manifest's bytes, or of a folder's names, and of `Columns`; empty when it is not known
            that these gave the rows.
        read: gives the bytes of an image by its location and its name in messages, see `read_image`.
    """

    path: Path
    folder: Path
    digests: NDArray[np.bytes_]
    labels: list[str]
    has_images: bool
    has_texts: bool
    separator: str
    content: str
    spool: Spool
    written: str = ""
    read: Callable[[str, str], bytes] = read_image

    def __len__(self) -> int:
        return len(self.digests)

    def rows(self, positions: Iterable[int] | None = None) -> list[ManifestRow]:
        """The rows at some positions, or all."""
        return self.spool.take(range(len(self)) if positions is None else positions)

    def iterate(self) -> Iterator[ManifestRow]:
        """All rows in order, one in memory at a time."""
        return (row for position in range(len(self)) for row in self.spool.take([position]))

    def location(self, row: ManifestRow) -> str:
        """Where the image of a row lies: a path or a URL."""
        return image_location(row.image, self.folder)

    def image_bytes(self, row: ManifestRow) -> bytes:
        """The bytes of a row's image, from the manifest itself or from where it says.

        Raises:
            ImageError: it cannot be read; the message names it as the manifest does, wherever that lies, and says what
                nearly is there when nothing is.
            ExtraError: a URL, and fsspec is not installed.
        """
        if row.held:
            return self.spool.image_bytes(row)
        try:
            return self.read(self.location(row), row.image)
        except ImageError as error:
            if hint := nearest_image(row.image, self.folder):
                raise ImageError(f"{error}; {hint}") from error
            raise


def read_manifest(path: str | Path, columns: Columns = Columns()) -> Manifest:
    """Reads and checks a manifest.

    Args:
        path: a file with a column a value, or a folder of images; see `open_table` for the formats.
        columns: names of the columns; `image` or `text` must be there, the others may be absent.

    Raises:
        ManifestError: the manifest is missing, empty, not UTF-8, damaged, lacks its columns, repeats a key, or names
            an unknown split; the message has file, line and fix.
        ExtraError: a Parquet file, and no package to read it.
    """
    path = place(path)
    reopen(path)
    written = written_digest(path, repr(columns))
    reading = _Reading(path, columns)
    with open_table(path, set(reading.names.values()), columns.image, columns.label, columns.split) as table:
        if table.columns:
            _require_columns(path, list(table.columns), columns)
        rows = map(reading.row, table.records)
        while batch := list(islice(rows, ROWS_A_WRITE)):
            reading.spool.append(batch)
    if not len(reading.spool):
        raise ManifestError(f"{path}: has no rows; add some, or name another")
    _require_columns(path, list(table.columns), columns)
    reading.tell()
    manifest = Manifest(
        path=path,
        folder=path if path.is_dir() else path.parent,
        digests=np.frombuffer(reading.digests, f"S{KEY_DIGEST_BYTES}"),
        labels=sorted(reading.labels - {""}),
        has_images=columns.image in table.columns,
        has_texts=columns.text in table.columns,
        separator=columns.label_separator,
        content=reading.content.hexdigest(),
        spool=reading.spool,
        written=written if written == written_digest(path, repr(columns)) else "",  # not while somebody writes it
    )
    make_unique(manifest.spool, manifest.digests, np.frombuffer(reading.origins, np.uint8))
    _require_unique(manifest)
    return manifest


class _Reading:
    """Records on their way to rows, and what is known of all of them so far.

    Attributes:
        names: the name of each of `COLUMNS`.
        digests: of the keys, one after the other.
        origins: one byte a row, where its key is from, see `make_unique`.
        labels: the different ones.
        content: digest of the rows as they stand, images' bytes left out.
    """

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path = path
        self.names = columns.names
        self.folder = path.is_dir()
        self.separator = "/" if self.folder else columns.label_separator
        self.spool = Spool()
        self.digests, self.origins, self.labels = bytearray(), bytearray(), {""}
        self.content = hashlib.sha256()
        self.missing: Counter[tuple[str, str]] = Counter()

    def row(self, record: Record) -> tuple[int, ManifestRow]:
        """A checked row and its line.

        Raises:
            ManifestError: an unknown split.
        """
        line, values = record
        image, data = self._image(values.get(self.names["image"], ""))
        text = plain(clean_text(self._text(values, "text")))
        written = {column: self._name(values, column) for column in ("label", "split", "key")}
        split = split_of(written["split"])
        if split is None:
            raise ManifestError(
                f"{self.path}:{line}: split {written['split']!r}; use train, val or test, or leave it empty"
            )
        problem = _problem({**written, "image": image})
        key, origin = self._key(written["key"], image, text, data)
        row = ManifestRow(
            key=key,
            image="" if problem else image,
            text="" if problem else text,
            label="" if problem else label_path(written["label"], self.separator),
            split=split,
            problem=problem,
            held=self.spool.hold(data) if data and not problem else 0,
        )
        self.content.update(repr((row, len(data))).encode("utf-8", "surrogatepass"))
        self.digests += key_digest(key)
        self.origins.append(origin)
        self.labels.add(row.label)
        return line, row

    def tell(self) -> None:
        """Says which words were taken for missing values."""
        for (column, word), count in sorted(self.missing.items()):
            notify(f"{self.path}: {word!r} in column {column!r} is taken for no value ({counted(count, 'row')})")

    def _image(self, value: Cell) -> tuple[str, bytes]:
        """The location or name of an image, and its bytes when they are in the table."""
        if isinstance(value, Image):
            return clean_text(value.path), value.data
        if self.folder:
            return value, b""  # a name as the disk has it, with its spaces
        return self._present("image", value.strip()), b""

    def _text(self, values: Mapping[str, Cell], column: str) -> str:
        value = values.get(self.names[column], "")
        if isinstance(value, Image):
            raise ManifestError(f"{self.path}: column {self.names[column]!r} is named for images and for {column}")
        return value

    def _name(self, values: Mapping[str, Cell], column: str) -> str:
        """A value that names something, where a word for nothing is nothing; a text may well be ``None``."""
        value = self._text(values, column)
        return value if self.folder else plain(self._present(column, value.strip()))

    def _present(self, column: str, value: str) -> str:
        """A value, or nothing for a word that says that there is none."""
        if value not in MISSING:
            return value
        self.missing[self.names[column], value] += 1
        return ""

    def _key(self, given: str, image: str, text: str, data: bytes) -> tuple[str, int]:
        """The key of a row, and where it is from."""
        if self.folder:
            return clean_text(image), NUMBERED  # names that differ in spaces only are numbered
        if key := clean_text(escaped(given)) or ("" if data else clean_text(escaped(image))):
            return key, GIVEN
        if data and (key := clean_text(escaped(image))):
            return key, PATH
        return content_key(data or text), NUMBERED


def _problem(cells: Mapping[str, str]) -> str:
    """What no UTF-8 holds in what must be exact; in texts it is replaced."""
    for column, value in cells.items():
        if SURROGATES.search(value):
            return f"the {column} {escaped(value)!r} is not valid Unicode; correct it in the manifest"
    if "\0" in cells["image"]:
        return f"the image {cells['image']!r} holds a NUL character; correct it in the manifest"
    return ""


def _require_columns(path: Path, names: list[str], columns: Columns) -> None:
    there = ", ".join(names)
    for column, wanted in columns.names.items():
        if wanted != column and wanted not in names:
            raise ManifestError(f"{path}: no column {wanted!r} for {column} (--{column}-column); it has {there}")
    if columns.image not in names and columns.text not in names:
        raise ManifestError(
            f"{path}: no column {columns.image!r} or {columns.text!r} among {there}; "
            "name yours by image (--image-column) or text (--text-column) of Columns"
        )


def _require_unique(manifest: Manifest) -> None:
    for group in equal_groups(manifest.digests):
        first, second = (manifest.spool.line(position) for position in group[:2])
        raise ManifestError(
            f"{manifest.path}:{second}: key {manifest.rows(group[:1])[0].key!r} stands on line {first} already; "
            "make keys unique or add a key column"
        )
