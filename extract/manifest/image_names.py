"""Which names in a folder of images are images, and which are left out."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import PurePosixPath

from PIL import Image

from huse.extract.images.decoding import NOT_IMAGES

SYSTEM_FOLDERS = frozenset(
    {"@eadir", "@recycle", "#recycle", "__macosx", "__pycache__", "$recycle.bin", "lost+found"}
    | {"system volume information"}
)
"""What file systems and network drives put beside images."""

SETS = (".parquet", ".pq", ".tar", ".tar.gz", ".tgz")
"""Ends of the names of tables that come in several files, so that a folder of them is one."""

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".gz", *SETS)


@cache
def image_suffixes() -> frozenset[str]:
    """Suffixes, in lower case, of every raster format that Pillow reads here."""
    Image.init()
    known = {name for name in Image.OPEN if name not in NOT_IMAGES and name != "PDF"}
    return frozenset(suffix for suffix, name in Image.EXTENSION.items() if name in known)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's images."""
    return name.startswith(".") or name.casefold() in SYSTEM_FOLDERS or name.casefold() == "thumbs.db"


def leave_out(parts: tuple[str, ...], left_out: Counter[str], tables: list[str]) -> None:
    """Counts a file that is neither hidden nor an image, and notes it when it may be a manifest."""
    suffix = PurePosixPath(parts[-1]).suffix.lower()
    left_out[f"{suffix} files" if suffix.isascii() and suffix else "files without suffix"] += 1
    if suffix in TABLES:
        tables.append("/".join(parts))


def is_of_set(name: str) -> bool:
    """Whether a file is a table that comes in several files."""
    return name.lower().endswith(SETS)
