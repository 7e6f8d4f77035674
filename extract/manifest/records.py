"""A manifest as a stream of records, whatever its format: a table, a folder of images, or several tables as one."""

from __future__ import annotations

import gzip
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from huse.extract.manifest.delimited import DELIMITERS, read_delimited
from huse.extract.manifest.encoding import open_text, undecodable
from huse.extract.manifest.file_set import files_of, folder_of, name_in, splits_of
from huse.extract.manifest.folder import Walk, read_folder, walk_of
from huse.extract.manifest.frame import Frame, read_frame
from huse.extract.manifest.json_lines import JSON_LINES, read_json_lines
from huse.extract.manifest.parquet import PARQUET, read_parquet
from huse.extract.manifest.table import Record, Table, is_blank
from huse.extract.manifest.webdataset import TARS, read_webdataset
from huse.features.errors import ManifestError

FORMATS = (
    "CSV (.csv), TSV (.tsv), JSON lines (.jsonl), each also .gz, Parquet (.parquet), WebDataset (.tar), "
    "or a folder of images, of Parquet files or of tars"
)

NO_FILE = FileNotFoundError, IsADirectoryError, NotADirectoryError

FOLDERS = {"store.json": "a store, no manifest", "model.keras": "a model, no manifest"}
"""What a folder with such a file is."""


@contextmanager
def open_table(source: Path | Frame, names: Mapping[str, str]) -> Iterator[Table]:
    """Opens a manifest of any format, known by its suffix.

    Args:
        source: a file, a folder of images, whose sub-folders are label paths, a folder of tables, a pattern of files,
            or a table in memory.
        names: the column of image, text, label, split and key; of other columns nothing but the names is looked at.

    Raises:
        ManifestError: the file is missing or damaged, not UTF-8, or of an unknown format; raised while reading, too.
        ExtraError: a format that needs a package which is not installed.
    """
    if isinstance(source, Frame):
        yield read_frame(source, set(names.values()), names["image"])
        return
    with one_line(source):
        walk = _walk(source)
        if files := files_of(source, walk):
            yield _joined(files, folder_of(source), names)
        elif walk is not None:
            yield read_folder(walk, names["image"], names["label"], names["split"])
        else:
            with _open_file(source, source.name, names) as table:
                yield table


@contextmanager
def _open_file(path: Path, inside: str, names: Mapping[str, str]) -> Iterator[Table]:
    """Opens one file, which is called so in the manifest's folder."""
    wanted = set(names.values())
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    with one_line(path):
        if path.suffix.lower() in PARQUET:
            yield read_parquet(path, wanted, names["image"])
        elif suffix in TARS:
            yield read_webdataset(path, inside, names)
        elif suffix in JSON_LINES:
            with open_text(path) as file:
                yield read_json_lines(path, file, wanted, names["image"])
        elif suffix in DELIMITERS:
            with open_text(path) as file:
                yield read_delimited(path, file, suffix, wanted)
        else:
            _refuse(path)


def _joined(files: Sequence[Path], folder: Path, names: Mapping[str, str]) -> Table:
    """Several files as one table, in which those of a split have it in the rows of which no column says it."""
    inside = [name_in(file, folder) for file in files]
    with _open_file(files[0], inside[0], names) as first:
        columns = dict(first.columns)
    starts: list[int] = []

    def file_of(line: int) -> tuple[str, int]:
        number = bisect_right(starts, line - 1) - 1
        return str(files[number]), line - starts[number]

    def records() -> Iterator[Record]:
        last = 0
        for file, name, split in zip(files, inside, splits_of(inside), strict=True):
            starts.append(last)
            with _open_file(file, name, names) as table:
                _require_content(file, table, names)
                for line, values in table.records:
                    last = starts[-1] + line
                    told = not split or values.get(names["split"]) or is_blank(values)
                    yield last, values if told else {**values, names["split"]: split}
                columns.update(table.columns)
                columns.update({names["split"]: None} if split else {})

    return Table(columns, records(), file_of, first.unique)


def _require_content(file: Path, table: Table, names: Mapping[str, str]) -> None:
    """Refuses a file that has neither of the columns which others of its set have."""
    if table.columns and not {names["image"], names["text"]} & table.columns.keys():
        there = ", ".join(table.columns)
        raise ManifestError(f"{file}: no column {names['image']!r} or {names['text']!r} among {there}; leave it out")


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Makes what goes wrong with a file one line that names it."""
    try:
        yield
    except gzip.BadGzipFile as error:
        raise ManifestError(f"{path}: not a whole gzip file ({error}); compress it again") from error
    except (EOFError, zlib.error) as error:
        raise ManifestError(f"{path}: the gzip file is cut off or damaged ({error}); compress it again") from error
    except UnicodeDecodeError as error:
        raise undecodable(path, error) from error
    except OSError as error:
        # what is not there, or no file, may be misnamed; what is not let in or not reached is not
        way_out = f"; name {FORMATS}" if isinstance(error, NO_FILE) else ""
        raise ManifestError(f"{path}: cannot be read ({error.strerror or error}){way_out}") from error


def _walk(path: Path) -> Walk | None:
    """What is below a folder; None of what is none.

    Raises:
        ManifestError: it is a store or a model.
    """
    if not path.is_dir():
        return None
    for name, what in FOLDERS.items():
        if (path / name).exists():
            raise ManifestError(f"{path}: is {what}; name the table or the folder of images")
    return walk_of(path)


def _refuse(path: Path) -> None:
    if str(path) == "-":
        raise ManifestError("-: standard input is not taken, since a manifest is looked at twice; name a file")
    path.open("rb").close()  # what is not there at all is told as that
    suffix = "".join(path.suffixes[-2:] if path.suffix.lower() == ".gz" else path.suffixes[-1:])
    raise ManifestError(f"{path}: unknown format {suffix!r}; name {FORMATS}")
