"""A picture's bytes become the pixels that an encoder takes.

One decoder (Pillow) reads every format, so a picture gives the same pixels in whatever file type and on whatever
machine it comes. Pillow releases the interpreter lock while it decodes and resizes, so a few threads keep an encoder
busy.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from huse.features.extras import require

PREPROCESSING = "first frame, EXIF orientation, 8-bit RGB over white, whole picture resized bilinear with antialiasing"
"""`decode_picture` in words, for the encoders' specs."""

MAX_PIXELS = 178_956_970
"""Most pixels of a picture by default, as Pillow's own limit against decompression bombs."""

ENOUGH = 3
"""JPEGs are decoded at the smallest scale that is at least this many times the encoder's size; docs/scaling.md."""

END_OF_JPEG = b"\xff\xd9"

ImageFile.LOAD_TRUNCATED_IMAGES = False


class PictureError(Exception):
    """A picture cannot be used; the message says why. It costs its own row, never the run."""


def allow_pixels(most: int) -> None:
    """Lets Pillow open pictures of up to this many pixels, in the whole process; `decode_picture` has the limit."""
    Image.MAX_IMAGE_PIXELS = max(most, MAX_PIXELS)
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def read_picture(location: str | Path) -> bytes:
    """The bytes of a picture.

    Args:
        location: a path, or a URL of any scheme that fsspec knows.

    Raises:
        PictureError: the picture is missing, unreadable or empty.
        ExtraError: a URL, and fsspec is not installed.
    """
    try:
        data = _fetch(str(location)) if "://" in str(location) else Path(location).read_bytes()
    except OSError as error:
        raise PictureError(f"{error.strerror or error}: {location}") from error
    if not data:
        raise PictureError(f"empty file: {location}")
    return data


def _fetch(url: str) -> bytes:
    fsspec = require("fsspec", "remote", f"picture {url}")
    try:
        with fsspec.open(url, "rb") as file:
            data: bytes = file.read()
    except OSError:
        raise
    except Exception as error:
        raise PictureError(f"{type(error).__name__}: {error}: {url}") from error
    return data


def decode_picture(
    data: bytes, size: tuple[int, int], max_pixels: int = MAX_PIXELS, recover_truncated: bool = False
) -> NDArray[np.uint8]:
    """Decodes, orients, flattens and resizes one picture.

    Args:
        data: the file's bytes, any format that Pillow reads.
        size: (height, width) in pixels.
        max_pixels: most pixels that are decoded.
        recover_truncated: of a JPEG that was cut off, take what is there; the rest is gray.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        PictureError: not a picture, truncated, or too large.
    """
    height, width = size
    try:
        with Image.open(io.BytesIO(data + END_OF_JPEG if recover_truncated else data)) as picture:
            _require_size(picture, max_pixels)
            side = ENOUGH * max(size)
            picture.draft(
                None, (side, side)
            )  # of JPEGs alone: the inverse DCT at 1/2, 1/4 or 1/8, where that is enough
            flat = to_rgb(ImageOps.exif_transpose(picture))
            # width, then height: left to itself, Pillow chooses the order by version and size, and rounding follows it
            across = flat.resize((width, flat.height), Image.Resampling.BILINEAR)
        return np.asarray(across.resize((width, height), Image.Resampling.BILINEAR))
    except UnidentifiedImageError as error:
        raise PictureError("not a picture in a known format") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"too many pixels: {error}; allow them by --max-pixels") from error
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


def _require_size(picture: Image.Image, limit: int) -> None:
    if picture.width * picture.height > limit:
        raise PictureError(f"too many pixels: {picture.width} x {picture.height}, --max-pixels allows {limit} in all")


def _to_8_bit(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture, dtype=np.float64)
    scale = 255.0 / 65535.0 if values.max(initial=0) > 255 else 1.0
    return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))
