"""A picture's bytes become the pixels that an encoder takes.

One decoder (Pillow) reads every format, so a picture gives the same pixels in whatever file type and on whatever
machine it comes. Pillow releases the interpreter lock while it decodes and resizes, so a few threads keep an encoder
busy.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

PREPROCESSING = "first frame, EXIF orientation, 8-bit RGB over white, whole picture resized bilinear with antialiasing"
"""`decode_picture` in words, for the encoders' specs."""

ImageFile.LOAD_TRUNCATED_IMAGES = False


class PictureError(Exception):
    """A picture cannot be used; the message says why. It costs its own row, never the run."""


def read_picture(path: Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        PictureError: the file is missing, unreadable or empty.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PictureError(f"{error.strerror or error}: {path}") from error
    if not data:
        raise PictureError(f"empty file: {path}")
    return data


def decode_picture(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decodes, orients, flattens and resizes one picture.

    Args:
        data: the file's bytes, any format that Pillow reads.
        size: (height, width) in pixels.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        PictureError: not a picture, truncated, or too large to be one (Pillow's limit against decompression bombs).
    """
    height, width = size
    try:
        with Image.open(io.BytesIO(data)) as picture:
            _require_size(picture)
            flat = to_rgb(ImageOps.exif_transpose(picture))
        return np.asarray(flat.resize((width, height), Image.Resampling.BILINEAR))
    except UnidentifiedImageError as error:
        raise PictureError("not a picture in a known format") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"too many pixels: {error}") from error
    except (OSError, ValueError, SyntaxError, EOFError, ArithmeticError, IndexError, TypeError) as error:
        # Pillow's format readers raise all of these on damaged files
        raise PictureError(f"cannot be decoded: {error}") from error


def to_rgb(picture: Image.Image) -> Image.Image:
    """A picture of any mode as 8-bit RGB, transparent parts over white."""
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = _to_8_bit(picture)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return picture.convert("RGB")


def _require_size(picture: Image.Image) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and picture.width * picture.height > limit:
        raise PictureError(f"too many pixels: {picture.width} x {picture.height}, at most {limit} are decoded")


def _to_8_bit(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture, dtype=np.float64)
    scale = 255.0 / 65535.0 if values.max(initial=0) > 255 else 1.0
    return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))
