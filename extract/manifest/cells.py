"""One value of a table, whatever its type, as the text or the image that it means: the same in every format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from huse.features.strings import MISSING as MISSING
from huse.features.strings import WHOLE

EXACT = 1e16
"""Floats below it are written without an exponent."""

IMAGE_FIELDS = {"bytes", "path"}
"""An image within a table, as Hugging Face's data sets have it."""


class CellError(ValueError):
    """A value is neither text nor a number; the message says what it is instead."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that lies in the table itself.

    Attributes:
        data: the bytes of its file.
        path: its name, for display; may be empty.
    """

    data: bytes
    path: str


Cell = str | Image


def text_of(value: object) -> str:
    """A value as text; null and NaN are empty, and a whole float is its integer.

    Bytes that are not UTF-8 become lone surrogates, as in file names.

    Raises:
        CellError: a list, a struct, or something else that is not one value.
    """
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < EXACT else repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, dict | list | tuple):
        raise CellError(f"holds {type(value).__name__}; write one string")
    return str(value)


def cell_of(value: object, image: bool) -> Cell:
    """A value as text, or, in a column of images, bytes as an image.

    Raises:
        CellError: as `text_of`.
    """
    if not image:
        return text_of(value)
    if isinstance(value, dict) and value.keys() <= IMAGE_FIELDS:
        data, path = value.get("bytes"), text_of(value.get("path"))
        if isinstance(data, str):
            raise CellError("holds bytes as a string; write the image's path, or make the table Parquet")
        return Image(data, path) if data else path
    if isinstance(value, bytes):
        return Image(value, "") if value else ""
    return text_of(value)


def plain(text: str) -> str:
    """A text without what the format of its table put there: ``101.0`` of a column of floats is ``101``."""
    if not WHOLE.fullmatch(text):
        return text
    return text[:-2] if text != "-0.0" else "0"


def escaped(text: str) -> str:
    """A text that UTF-8 can hold: lone surrogates are written by their number, as Python does."""
    return text.encode("utf-8", "backslashreplace").decode()
