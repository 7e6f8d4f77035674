"""The records of a table become rows: their values are cleaned, their keys made, and what cannot be is told."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from huse.extract.manifest.cells import MISSING, Cell, Image, escaped, plain
from huse.extract.manifest.columns import Columns
from huse.extract.manifest.keys import GIVEN, NUMBERED, PATH, content_key, key_digest
from huse.extract.manifest.notices import notify
from huse.extract.manifest.spool import ManifestRow, Spool
from huse.extract.manifest.table import Record, Table, is_blank
from huse.extract.texts import SURROGATES, clean_text
from huse.features.counted import counted
from huse.features.errors import ManifestError
from huse.features.labels import label_path
from huse.features.splits import split_of


class Checking:
    """Records on their way to rows, and what is known of all of them so far.

    Attributes:
        names: the name of each of the columns.
        file: gives the file of a line, and its number there.
        digests: of the keys, one after the other.
        origins: one byte a row, where its key is from, see `make_unique`.
        labels: the different ones.
        content: digest of the rows as they stand, images' bytes left out.
    """

    def __init__(self, path: object, columns: Columns, table: Table) -> None:
        self.path = path
        self.names = columns.names
        self.file = table.file or (lambda line: (str(path), line))
        self.folder = table.of_folder
        self.separator = "/" if self.folder else columns.label_separator
        self.spool = Spool()
        self.digests, self.origins, self.labels = bytearray(), bytearray(), {""}
        self.content = hashlib.sha256()
        self.missing: Counter[tuple[str, str]] = Counter()
        self.blank = 0

    def rows(self, records: Iterable[Record]) -> Iterator[tuple[int, ManifestRow]]:
        """Checked rows and their lines; records that say nothing are passed over and counted.

        Raises:
            ManifestError: an unknown split.
        """
        for record in records:
            if is_blank(record[1]):
                self.blank += 1
            else:
                yield self.row(record)

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
                f"{self.where(line)}: split {written['split']!r}; use train, val or test, or leave it empty"
            )
        problem = _problem({**written, "image": image})
        key, origin = self._key(written["key"], image, text, data, problem)
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

    def where(self, line: int) -> str:
        """The file of a line, and where in it that is."""
        file, line = self.file(line)
        return f"{file}:{line}"

    def tell(self) -> None:
        """Says which words were taken for missing values, and how many rows were none."""
        for (column, word), count in sorted(self.missing.items()):
            notify(f"{self.path}: {word!r} in column {column!r} is taken for no value ({counted(count, 'row')})")
        if self.blank:
            notify(f"{self.path}: {counted(self.blank, 'blank row')} passed over")

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

    def _key(self, given: str, image: str, text: str, data: bytes, problem: str) -> tuple[str, int]:
        """The key of a row, and where it is from."""
        if self.folder:
            return clean_text(image), NUMBERED  # names that differ in spaces only are numbered
        if key := clean_text(escaped(given)) or ("" if data else clean_text(escaped(image))):
            return key, GIVEN
        if data and (key := clean_text(escaped(image))):
            return key, NUMBERED if problem else PATH  # a row with a problem holds no bytes to be named by
        return content_key(data or text), NUMBERED


def _problem(cells: Mapping[str, str]) -> str:
    """What no UTF-8 holds in what must be exact; in texts it is replaced."""
    for column, value in cells.items():
        if SURROGATES.search(value):
            return f"the {column} {escaped(value)!r} is not valid Unicode; correct it in the manifest"
    if "\0" in cells["image"]:
        return f"the image {cells['image']!r} holds a NUL character; correct it in the manifest"
    return ""
