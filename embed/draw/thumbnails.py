"""Small versions of pictures, for pages that hold them and for sprites."""

from __future__ import annotations

import base64
import io
import warnings
from pathlib import Path

from PIL import Image

from huse.extract.images.decoding import PictureError, read_picture, small_picture
from huse.extract.manifest.locations import picture_location

SIDE = 96


class Thumbnails:
    """Makes small versions of the pictures of some rows, and knows whether any of them was found.

    Args:
        folder: where relative pictures start from.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tried = self._found = 0
        self._first = ""

    def picture(self, uri: str, side: int = SIDE) -> Image.Image | None:
        """A picture within a square of so many pixels, turned and over white as encoders see it; None without pixels.

        Args:
            uri: of the row; empty when its picture came out of a table's cell.
            side: of the square.
        """
        if not uri:
            return None
        place = picture_location(uri, self.folder)
        self._tried += 1
        self._first = self._first or place
        try:
            small = small_picture(read_picture(place), side)
        except PictureError:
            return None
        self._found += 1
        return small

    def data_uri(self, uri: str, side: int = SIDE) -> str:
        """A thumbnail as a `data:` address for a page; empty when there is none."""
        small = self.picture(uri, side)
        if small is None:
            return ""
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=85)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"

    def warn_of_none(self) -> None:
        """Says where pictures were looked for when not one of them was found."""
        if self._tried and not self._found:
            warnings.warn(none_found(self._tried, self._first), stacklevel=2)


def none_found(tried: int, first: str) -> str:
    """What to say when none of some pictures is there.

    Args:
        tried: how many were looked for.
        first: where the first was looked for.
    """
    return f"none of {tried} pictures is there, the first was looked for at {first}; name their folder by --images"
