"""A manifest becomes checked rows; one that cannot be right as a whole is refused at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huse.extract.records import PICTURES, Record, open_table
from huse.extract.spool import ROWS_A_WRITE, ManifestRow, Spool
from huse.extract.texts import clean_text
from huse.features.errors import ManifestError
from huse.features.store import class_name

SPLITS = ("train", "val", "test")
COLUMNS = ("image", "text", "label", "split", "key")
KEY_DIGEST_BYTES = 16


@dataclass(frozen=True)
class Columns:
    """The names of the manifest's columns."""

    image: str = "image"
    text: str = "text"
    label: str = "label"
    split: str = "split"
    key: str = "key"


@dataclass(frozen=True)
class Manifest:
    """The checked rows of a manifest; they lie on disk, so 5 million of them cost little memory.

    Attributes:
        path: the manifest.
        folder: what relative picture paths start from.
        digests: (n,) 16-byte digest of each key, see `key_digests`.
        labels: the different labels, sorted.
        has_images: whether it has a column of pictures.
        has_texts: whether it has a column of texts.
    """

    path: Path
    folder: Path
    digests: NDArray[np.bytes_]
    labels: list[str]
    has_images: bool
    has_texts: bool
    spool: Spool

    def __len__(self) -> int:
        return len(self.digests)

    def rows(self, positions: Iterable[int] | None = None) -> list[ManifestRow]:
        """The rows at some positions, or all."""
        return self.spool.take(range(len(self)) if positions is None else positions)

    def iterate(self) -> Iterator[ManifestRow]:
        """All rows in order, one in memory at a time."""
        return (row for position in range(len(self)) for row in self.spool.take([position]))

    def location(self, row: ManifestRow) -> str:
        """Where the picture of a row lies: a path or a URL."""
        return row.image if "://" in row.image else str(self.folder / row.image)


def read_manifest(path: str | Path, columns: Columns = Columns()) -> Manifest:
    """Reads and checks a manifest.

    Args:
        path: a UTF-8 file with a column a value, or a folder of pictures; see `open_table` for the formats.
        columns: names of the columns; `image` or `text` must be there, the others may be absent.

    Raises:
        ManifestError: the manifest is missing, empty, not UTF-8, damaged, lacks its columns, repeats a key, or names
            an unknown split; the message has file, line and fix.
        ExtraError: a Parquet file, and no package to read it.
    """
    path = Path(path)
    spool, digests, labels = Spool(), bytearray(), {""}
    names = {column: getattr(columns, column) for column in COLUMNS}
    with open_table(path, set(names.values()), columns.image, columns.label) as table:
        seen = dict.fromkeys(table.columns or ())
        if table.columns is not None:
            _require_columns(path, table.columns, columns)
        records = _checked_rows(path, table.records, names, seen)
        while batch := list(islice(records, ROWS_A_WRITE)):
            spool.append(batch)
            digests += b"".join(key_digest(row.key) for _, row in batch)
            labels.update(row.label for _, row in batch)
    if not len(spool):
        found = (
            f"no pictures ({', '.join(PICTURES)}) and no store.json in this folder" if path.is_dir() else "has no rows"
        )
        raise ManifestError(f"{path}: {found}; add some, or name another")
    if table.columns is None:
        _require_columns(path, list(seen), columns)
    manifest = Manifest(
        path=path,
        folder=path if path.is_dir() else path.parent,
        digests=np.frombuffer(bytes(digests), f"S{KEY_DIGEST_BYTES}"),
        labels=sorted(labels - {""}),
        has_images=columns.image in seen,
        has_texts=columns.text in seen,
        spool=spool,
    )
    _require_unique(manifest)
    return manifest


def key_digest(key: str) -> bytes:
    """What stands for a key where there are millions of them; no two keys share one."""
    return hashlib.blake2b(key.encode(), digest_size=KEY_DIGEST_BYTES).digest()


def key_digests(keys: Iterable[str]) -> NDArray[np.bytes_]:
    """(n,) digests of n keys."""
    return np.frombuffer(b"".join(map(key_digest, keys)), f"S{KEY_DIGEST_BYTES}")


def class_texts(labels: list[str], path: Path | None = None) -> dict[str, str]:
    """The text that stands for each class: its description in a file, else its name (the last part of the label).

    Args:
        labels: the classes.
        path: file with columns label and text, in any format of a manifest; it may describe some of them.

    Raises:
        ManifestError: the file cannot be read, or names a class that no row has.
    """
    texts = {label: clean_text(class_name(label)) for label in labels}
    if path is None:
        return texts
    for row in read_manifest(path).rows():
        if row.label not in texts:
            raise ManifestError(f"{path}: class {row.label!r} is no row's label; correct or remove it")
        if row.text:
            texts[row.label] = row.text
    return texts


def _require_columns(path: Path, names: list[str], columns: Columns) -> None:
    there = ", ".join(names)
    for column in COLUMNS:
        wanted = getattr(columns, column)
        if wanted != column and wanted not in names:
            raise ManifestError(f"{path}: no column {wanted!r} for --{column}-column; it has {there}")
    if columns.image not in names and columns.text not in names:
        raise ManifestError(
            f"{path}: no column {columns.image!r} or {columns.text!r} among {there}; "
            "name yours with --image-column or --text-column"
        )


def _checked_rows(
    path: Path, records: Iterator[Record], names: dict[str, str], seen: dict[str, None]
) -> Iterator[tuple[int, ManifestRow]]:
    for number, (line, values) in enumerate(records, start=1):
        seen.update(dict.fromkeys(values))
        cell = {column: values.get(name, "").strip() for column, name in names.items()}
        if "\0" in "".join(cell.values()):
            raise ManifestError(f"{path}:{line}: holds a NUL character; remove it")
        if cell["split"] not in ("", *SPLITS):
            raise ManifestError(f"{path}:{line}: split {cell['split']!r}; use train, val or test, or leave it empty")
        yield (
            line,
            ManifestRow(
                key=cell["key"] or cell["image"] or str(number),
                image=cell["image"],
                text=clean_text(cell["text"]),
                label=_normalize_label(cell["label"]),
                split=cell["split"],
            ),
        )


def _require_unique(manifest: Manifest) -> None:
    order = np.argsort(manifest.digests, kind="stable")
    ordered = manifest.digests[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(again):
        place = again[order[again + 1].argmin()]
        first, second = (manifest.spool.line(position) for position in order[place : place + 2])
        raise ManifestError(
            f"{manifest.path}:{second}: key {manifest.rows([order[place]])[0].key!r} stands on line {first} already; "
            "make keys unique or add a key column"
        )


def _normalize_label(label: str) -> str:
    return "/".join(part.strip() for part in label.split("/") if part.strip())
