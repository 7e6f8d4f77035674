"""Small versions of images, for pages that hold them and for sprites."""

from __future__ import annotations

import base64
import io
import warnings
from pathlib import Path

from PIL import Image

from huse.extract.images.decoding import ImageError, small_image
from huse.extract.images.reading import read_image
from huse.extract.manifest.locations import image_location

SIDE = 96


class Thumbnails:
    """Makes small versions of the images of some rows, and knows whether any of them was found.

    Args:
        folder: where relative images start from.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tried = self._found = 0
        self._first = ""

    def image(self, uri: str, side: int = SIDE) -> Image.Image | None:
        """An image within a square of so many pixels, turned and over white as encoders see it; None without pixels.

        Args:
            uri: of the row; empty when its image came out of a table's cell.
            side: of the square.
        """
        if not uri:
            return None
        source = image_location(uri, self.folder)
        self._tried += 1
        self._first = self._first or source
        try:
            small = small_image(read_image(source), side)
        except ImageError:
            return None
        self._found += 1
        return small

    def data_uri(self, uri: str, side: int = SIDE) -> str:
        """A thumbnail as a `data:` address for a page; empty when there is none."""
        small = self.image(uri, side)
        if small is None:
            return ""
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=85)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"

    def warn_of_none(self) -> None:
        """Says where images were looked for when not one of them was found."""
        if self._tried and not self._found:
            warnings.warn(none_found(self._tried, self._first), stacklevel=2)


def none_found(tried: int, first: str) -> str:
    """What to say when none of some images is there.

    Args:
        tried: how many were looked for.
        first: where the first was looked for.
    """
    return (
        f"none of {tried} images is there, the first was looked for at {first}; name their folder by folder (--images)"
    )
