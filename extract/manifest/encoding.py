"""A text file, plain or .gz, opened by the mark at its start, and the line of what is not UTF-8 in it."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from pathlib import Path
from typing import IO, cast

from huse.features.errors import ManifestError
from huse.features.files.cache import local_copy

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Marks by which an encoding is known, longer ones before those that they begin with."""

DISGUISED = {
    b"\x1f\x8b": "is compressed by gzip; give it a name that ends in .gz",
    b"PK\x03\x04": "is a spreadsheet or a ZIP file; save it as CSV",
    b"\xd0\xcf\x11\xe0": "is a spreadsheet; save it as CSV",
    b"PAR1": "is a Parquet file; give it a name that ends in .parquet",
}
"""What files are that begin so, whatever their names say."""

LONE_RETURN = re.compile(rb"\r(?!\n)")


def open_text(path: Path) -> IO[str]:
    """Opens a UTF-8 file, or one whose first bytes say that it is UTF-16 or UTF-32; line ends are left as they are.

    Raises:
        ManifestError: the file is no text.
        OSError: it cannot be read.
    """
    with _open_bytes(path) as file:
        head = file.read(4)
    for start, what in DISGUISED.items():
        if head.startswith(start):
            raise ManifestError(f"{path}: {what}")
    encoding = next((name for mark, name in MARKS if head.startswith(mark)), "utf-8")
    if path.suffix.lower() == ".gz":
        return gzip.open(local_copy(path), "rt", encoding=encoding, newline="")
    return local_copy(path).open(encoding=encoding, newline="")


def undecodable(path: Path, error: UnicodeDecodeError) -> ManifestError:
    """What to say of a file that is not in the encoding that it was read in."""
    if not error.encoding.startswith("utf-8"):
        return ManifestError(f"{path}: not {error.encoding} as its mark says; save the file as UTF-8")
    try:
        line, byte = _first_wrong(path)
    except (EOFError, OSError, zlib.error):  # of a .gz that is damaged itself
        return ManifestError(f"{path}: not UTF-8; save the file as UTF-8")
    return ManifestError(
        f"{path}:{line}: not UTF-8 (byte 0x{byte:02x}); save the file as UTF-8, as by iconv -f WINDOWS-1252 -t UTF-8"
    )


def _first_wrong(path: Path) -> tuple[int, int]:
    """The line of the first byte that is not UTF-8, and the byte."""
    number = 1
    with _open_bytes(path) as file:
        for line in file:
            try:
                line.decode()
            except UnicodeDecodeError as found:
                return number + len(LONE_RETURN.findall(line[: found.start])), line[found.start]
            number += 1 + len(LONE_RETURN.findall(line))
    raise EOFError("changed while it was read")


def _open_bytes(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return cast(IO[bytes], gzip.open(local_copy(path), "rb"))
    return local_copy(path).open("rb")
