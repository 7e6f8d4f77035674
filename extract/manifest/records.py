"""A table or a folder of images as a stream of records, whatever its format."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from huse.extract.manifest.delimited import DELIMITERS, read_delimited
from huse.extract.manifest.encoding import open_text, undecodable
from huse.extract.manifest.folder import read_folder
from huse.extract.manifest.json_lines import JSON_LINES, read_json_lines
from huse.extract.manifest.parquet import PARQUET, read_parquet
from huse.extract.manifest.table import Table
from huse.features.errors import ManifestError

FORMATS = "CSV (.csv), TSV (.tsv), JSON lines (.jsonl), each also .gz, Parquet (.parquet), or a folder of images"

FOLDERS = {"store.json": "a store, no manifest", "model.keras": "a model, no manifest"}
"""What a folder with such a file is."""


@contextmanager
def open_table(
    path: Path, wanted: Collection[str], image: str = "image", label: str = "label", split: str = "split"
) -> Iterator[Table]:
    """Opens a manifest of any format, known by its suffix.

    Args:
        path: a file, or a folder of images, whose sub-folders are label paths.
        wanted: columns to read; of others nothing but the names is looked at.
        image: column of images.
        label: column that a folder's sub-folders become.
        split: column that a folder's topmost sub-folders become when they are named for splits.

    Raises:
        ManifestError: the file is missing or damaged, not UTF-8, or of an unknown format; raised while reading, too.
        ExtraError: a Parquet file, and no package to read it.
    """
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    try:
        if path.is_dir():
            _require_images(path)
            yield read_folder(path, image, label, split)
        elif path.suffix.lower() in PARQUET:
            yield read_parquet(path, wanted, image)
        elif suffix in JSON_LINES:
            with open_text(path) as file:
                yield read_json_lines(path, file, wanted, image)
        elif suffix in DELIMITERS:
            with open_text(path) as file:
                yield read_delimited(path, file, suffix, wanted)
        else:
            _refuse(path)
    except gzip.BadGzipFile as error:
        raise ManifestError(f"{path}: not a whole gzip file ({error}); compress it again") from error
    except (EOFError, zlib.error) as error:
        raise ManifestError(f"{path}: the gzip file is cut off or damaged ({error}); compress it again") from error
    except UnicodeDecodeError as error:
        raise undecodable(path, error) from error
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror or error}); name {FORMATS}") from error


def _require_images(folder: Path) -> None:
    for name, what in FOLDERS.items():
        if (folder / name).exists():
            raise ManifestError(f"{folder}: is {what}; name the table or the folder of images")


def _refuse(path: Path) -> None:
    if str(path) == "-":
        raise ManifestError("-: standard input is not taken, since a manifest is looked at twice; name a file")
    path.open("rb").close()  # what is not there at all is told as that
    suffix = "".join(path.suffixes[-2:] if path.suffix.lower() == ".gz" else path.suffixes[-1:])
    raise ManifestError(f"{path}: unknown format {suffix!r}; name {FORMATS}")
