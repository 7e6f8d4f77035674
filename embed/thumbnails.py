"""Small versions of pictures, for pages that hold them and for sprites."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from huse.extract.images import PictureError, read_picture, small_picture
from huse.extract.locations import picture_location

SIDE = 96


def location(uri: str, folder: Path) -> str:
    """Where a row's picture is: its URL, or its path from the folder that relative ones start from."""
    return picture_location(uri, folder)


def thumbnail(uri: str, folder: Path, side: int = SIDE) -> Image.Image | None:
    """A picture within a square of so many pixels, turned and over white as encoders see it; None without pixels."""
    try:
        return small_picture(read_picture(location(uri, folder)), side)
    except PictureError:
        return None


def data_uri(uri: str, folder: Path, side: int = SIDE) -> str:
    """A thumbnail as a `data:` address for a page; empty when the picture cannot be read."""
    small = thumbnail(uri, folder, side) if uri else None
    if small is None:
        return ""
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
