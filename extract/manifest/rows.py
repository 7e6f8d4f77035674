"""A manifest becomes checked rows; one that cannot be right as a whole is refused at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from huse.extract.images.decoding import ImageError
from huse.extract.images.reading import read_image
from huse.extract.manifest.checking import Checking
from huse.extract.manifest.columns import Columns as Columns
from huse.extract.manifest.file_set import folder_of, is_pattern
from huse.extract.manifest.frame import Frame, frame_name
from huse.extract.manifest.keys import KEY_DIGEST_BYTES, equal_groups, make_unique
from huse.extract.manifest.locations import image_location, nearest_image
from huse.extract.manifest.records import one_line, open_table
from huse.extract.manifest.spool import ROWS_A_WRITE, ManifestRow, Spool
from huse.extract.manifest.written import written_digest
from huse.features.errors import ManifestError
from huse.features.files.place import place, reopen


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


def read_manifest(source: str | Path | Frame, columns: Columns = Columns()) -> Manifest:
    """Reads and checks a manifest.

    Args:
        source: a file with a column a value, a folder of images, several files, or a table in memory; see `open_table`
            for the formats.
        columns: names of the columns; `image` or `text` must be there, the others may be absent.

    Raises:
        ManifestError: the manifest is missing, empty, not UTF-8, damaged, lacks its columns, repeats a key, or names
            an unknown split; the message has file, line and fix.
        ExtraError: a Parquet file, and no package to read it.
    """
    path, folder = _where(source)
    written = "" if isinstance(source, Frame) else written_digest(path, repr(columns))
    with open_table(source if isinstance(source, Frame) else path, columns.names) as table:
        checking = Checking(path, columns, table)
        if table.columns:
            _require_columns(path, list(table.columns), columns)
        rows = checking.rows(table.records)
        while batch := list(islice(rows, ROWS_A_WRITE)):
            checking.spool.append(batch)
    if table.columns:  # some formats tell them as the rows are read
        _require_columns(path, list(table.columns), columns)
    if not len(checking.spool):
        raise ManifestError(f"{path}: has no rows; add some, or name another")
    checking.tell()
    manifest = Manifest(
        path=path,
        folder=folder,
        digests=np.frombuffer(checking.digests, f"S{KEY_DIGEST_BYTES}"),
        labels=sorted(checking.labels - {""}),
        has_images=columns.image in table.columns,
        has_texts=columns.text in table.columns,
        separator=columns.label_separator,
        content=checking.content.hexdigest(),
        spool=checking.spool,
        # not while somebody writes it
        written=written if written and written == written_digest(path, repr(columns)) else "",
    )
    make_unique(manifest.spool, manifest.digests, np.frombuffer(checking.origins, np.uint8))
    _require_unique(manifest, checking, table.unique)
    return manifest


def _where(source: str | Path | Frame) -> tuple[Path, Path]:
    """The place of a manifest, looked at anew, and what relative image paths start from."""
    if isinstance(source, Frame):
        return Path(frame_name(source)), Path.cwd()
    if not isinstance(source, str | PurePath) and not hasattr(source, "protocol"):  # as the paths of objects have
        raise ManifestError(f"a {type(source).__name__} is no manifest; name a file, or make it a data frame")
    path = place(source)
    with one_line(path):
        folder = folder_of(path)
        reopen(folder if is_pattern(path) else path)
    return path, folder


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


def _require_unique(manifest: Manifest, checking: Checking, way_out: str) -> None:
    for group in equal_groups(manifest.digests):
        lines = [manifest.spool.line(position) for position in group[:2]]
        (first, line), (second, _) = map(checking.file, lines)
        there = f"on line {line}" if first == second else f"on line {line} of {first}"
        raise ManifestError(
            f"{checking.where(lines[1])}: key {manifest.rows(group[:1])[0].key!r} stands {there} already; {way_out}"
        )
