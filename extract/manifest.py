"""A CSV manifest becomes checked rows; a manifest that cannot be right as a whole is refused at once."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huse.extract.texts import clean_text
from huse.features.errors import ManifestError
from huse.features.store import class_name

SPLITS = ("train", "val", "test")
COLUMNS = ("image", "text", "label", "split", "key")


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One row: a picture, a text or both, and what is known of them.

    Attributes:
        key: unique name of the row.
        image: picture location as written in the manifest; empty when the row has none.
        text: cleaned text; empty when the row has none.
        label: class identity, a path such as ``apparel/topwear/shirts``; empty when unknown.
        split: ``train``, ``val``, ``test`` or empty.
    """

    key: str
    image: str
    text: str
    label: str
    split: str


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
    """The rows of a manifest, and the folder that its relative picture paths start from."""

    path: Path
    rows: list[ManifestRow]
    has_images: bool
    has_texts: bool

    def picture_path(self, row: ManifestRow) -> Path:
        """Where the picture of a row lies."""
        return self.path.parent / row.image

    @property
    def labels(self) -> list[str]:
        """The different labels, sorted."""
        return sorted({row.label for row in self.rows} - {""})


def read_manifest(path: str | Path, columns: Columns = Columns()) -> Manifest:
    """Reads and checks a CSV manifest.

    Args:
        path: a UTF-8 CSV file with a header line.
        columns: names of the columns; `image` or `text` must be there, the others may be absent.

    Raises:
        ManifestError: the file is missing, empty, not UTF-8, not CSV, lacks its columns, repeats a key, or names an
            unknown split; the message has file, line and fix.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            present = _positions(path, next(reader, []), columns)
            rows = list(_checked_rows(path, reader, present))
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror}); name a CSV file") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 near byte {error.start}; save the file as UTF-8") from error
    except csv.Error as error:
        raise ManifestError(f"{path}:{reader.line_num}: not valid CSV ({error}); check the quotes") from error
    if not rows:
        raise ManifestError(f"{path}: has no rows below its header; add some")
    return Manifest(path, rows, "image" in present, "text" in present)


def class_texts(labels: list[str], path: Path | None = None) -> dict[str, str]:
    """The text that stands for each class: its description in a file, else its name (the last part of the label).

    Args:
        labels: the classes.
        path: CSV file with columns label and text; it may describe some of them.

    Raises:
        ManifestError: the file cannot be read, or names a class that no row has.
    """
    texts = {label: clean_text(class_name(label)) for label in labels}
    if path is None:
        return texts
    for row in read_manifest(path).rows:
        if row.label not in texts:
            raise ManifestError(f"{path}: class {row.label!r} is no row's label; correct or remove it")
        if row.text:
            texts[row.label] = row.text
    return texts


def _positions(path: Path, header: list[str], columns: Columns) -> dict[str, int]:
    if not header:
        raise ManifestError(f"{path}: is empty; its first line must name the columns, such as image,text,label")
    names = [name.strip() for name in header]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ManifestError(f"{path}:1: column {repeated!r} stands twice; rename one")
    for column in COLUMNS:
        wanted = getattr(columns, column)
        if wanted != column and wanted not in names:
            raise ManifestError(f"{path}:1: no column {wanted!r} for --{column}-column; it has {', '.join(names)}")
    present = {column: names.index(getattr(columns, column)) for column in COLUMNS if getattr(columns, column) in names}
    if "image" not in present and "text" not in present:
        raise ManifestError(
            f"{path}:1: no column {columns.image!r} or {columns.text!r} among {', '.join(names)}; "
            "name yours with --image-column or --text-column"
        )
    return present


def _checked_rows(path: Path, reader: Iterator[list[str]], present: dict[str, int]) -> Iterator[ManifestRow]:
    seen: dict[str, int] = {}
    width = max(present.values()) + 1
    for number, values in enumerate((v for v in reader if v), start=1):
        line = reader.line_num  # type: ignore[attr-defined]
        if len(values) < width:
            raise ManifestError(
                f"{path}:{line}: {len(values)} values, the header has at least {width}; add the missing"
            )
        cell = {column: values[position].strip() for column, position in present.items()}
        key = cell.get("key", "") or cell.get("image", "") or str(number)
        if key in seen:
            raise ManifestError(
                f"{path}:{line}: key {key!r} stands on line {seen[key]} already; make keys unique or add a key column"
            )
        if "\0" in "".join(values):
            raise ManifestError(f"{path}:{line}: holds a NUL character; remove it")
        if cell.get("split", "") not in ("", *SPLITS):
            raise ManifestError(f"{path}:{line}: split {cell['split']!r}; use train, val or test, or leave it empty")
        seen[key] = line
        yield ManifestRow(
            key=key,
            image=cell.get("image", ""),
            text=clean_text(cell.get("text", "")),
            label=_normalize_label(cell.get("label", "")),
            split=cell.get("split", ""),
        )


def _normalize_label(label: str) -> str:
    return "/".join(part.strip() for part in label.split("/") if part.strip())
