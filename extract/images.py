"""A picture's bytes become the pixels that an encoder takes.

One decoder (Pillow) reads every format, so a picture gives the same pixels in whatever file type and on whatever
machine it comes. Pillow releases the interpreter lock while it decodes and resizes, so a few threads keep an encoder
busy. A decoded picture is in memory once: what comes after goes band by band.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from huse.extract.modes import to_rgb
from huse.features.extras import require

PREPROCESSING = "first frame, EXIF orientation, 8-bit RGB over white, whole picture resized bilinear with antialiasing"
"""`decode_picture` in words, for the encoders' specs."""

MAX_PIXELS = 178_956_970
"""Most pixels of a picture by default, as Pillow's own limit against decompression bombs."""

ENOUGH = 3
"""JPEGs are decoded at the smallest scale that is at least this many times the encoder's size; docs/scaling.md."""

END_OF_JPEG = b"\xff\xd9"

BAND_PIXELS = 1 << 20
"""Pixels that are flattened and resized at a time."""

TALL = 1 << 14
"""Rows above which a picture is first averaged over whole numbers of rows, so that memory follows its pixels."""

NOT_PICTURES = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
"""What Pillow knows and is no raster, or runs another program."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientations and what makes them upright; 5 to 8 exchange height and width."""

FROM_THE_END = (3, 4, 7, 8)
"""Orientations whose first upright row is the last row or column of the file."""

ImageFile.LOAD_TRUNCATED_IMAGES = False
warnings.filterwarnings("ignore", module=r"PIL\.")  # of damage that Pillow gets over, once for every picture


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
        data: the file's bytes, any raster format that Pillow reads.
        size: (height, width) in pixels.
        max_pixels: most pixels that are decoded.
        recover_truncated: of a JPEG that was cut off, take what is there; the rest is gray.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        PictureError: not a picture, truncated, damaged, too large, or too much for the memory.
    """
    height, width = size
    with _opened(data + END_OF_JPEG if recover_truncated else data, max_pixels) as picture:
        side = ENOUGH * max(size)
        picture.draft(None, (side, side))  # of JPEGs alone: the inverse DCT at 1/2, 1/4 or 1/8, where that is enough
        # width, then height: left to itself, Pillow chooses the order by version and size, and rounding follows it
        across = [band.resize((width, band.height), Image.Resampling.BILINEAR) for band in _upright_bands(picture)]
        return np.asarray(_joined(across).resize((width, height), Image.Resampling.BILINEAR))


def small_picture(data: bytes, side: int, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """A picture to be shown, turned and flattened as encoders see it.

    Args:
        data: the file's bytes.
        side: most pixels of height and width; a smaller picture keeps its size.
        max_pixels: most pixels that are decoded.

    Raises:
        PictureError: as `decode_picture`.
    """
    with _opened(data, max_pixels) as picture:
        picture.draft(None, (2 * side, 2 * side))
        turned = _orientation(picture) in range(5, 9)
        width, height = picture.size[::-1] if turned else picture.size
        scale = min(1.0, side / max(width, height))
        wide = max(1, round(width * scale))
        across = [band.resize((wide, band.height), Image.Resampling.LANCZOS) for band in _upright_bands(picture)]
        return _joined(across).resize((wide, max(1, round(height * scale))), Image.Resampling.LANCZOS)


def picture_type(data: bytes, max_pixels: int = MAX_PIXELS) -> str:
    """The media type of a picture, such as ``image/png``, by its bytes; it is not decoded.

    Raises:
        PictureError: as `decode_picture`.
    """
    with _opened(data, max_pixels) as picture:
        return Image.MIME.get(picture.format or "", "application/octet-stream")


@contextmanager
def _opened(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    """The picture in some bytes; whatever is raised while it is used is that picture's fault, and a `PictureError`."""
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as picture:
            if picture.width * picture.height > max_pixels:
                there = f"{picture.width} x {picture.height}, --max-pixels allows {max_pixels} in all"
                raise PictureError(f"too many pixels: {there}")
            yield picture
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError("not a picture in a known format") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"too many pixels: {error}; allow them by --max-pixels") from error
    except MemoryError as error:
        raise PictureError("needs more memory than there is; a smaller --max-pixels refuses it at once") from error
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise PictureError(f"cannot be decoded: {reason}") from error


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in NOT_PICTURES)


def _orientation(picture: Image.Image) -> int:
    """The orientation that a picture's EXIF tells, 1 to 8; 1 when it tells none that can be read."""
    try:
        value = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - a damaged EXIF raises anything, and costs no pixel
        return 1
    return value if isinstance(value, int) and value in TURNS else 1


def _upright_bands(picture: Image.Image) -> Iterator[Image.Image]:
    """The upright picture in RGB, cut into bands of whole rows, top to bottom."""
    picture.load()  # before the orientation is asked for: some readers turn the picture themselves, and say so then
    orientation = _orientation(picture)
    columns = orientation >= 5
    height, width = picture.size if columns else picture.size[::-1]
    average = max(1, height // TALL)
    step = -(-max(1, BAND_PIXELS // width) // average) * average
    for top in range(0, height, step):
        bottom = min(top + step, height)
        first, last = (height - bottom, height - top) if orientation in FROM_THE_END else (top, bottom)
        box = (first, 0, last, width) if columns else (0, first, width, last)
        part = picture if (first, last) == (0, height) else picture.crop(box)
        band = to_rgb(part.transpose(TURNS[orientation]) if orientation in TURNS else part, picture)
        yield band.reduce((1, average)) if average > 1 else band


def _joined(bands: list[Image.Image]) -> Image.Image:
    if len(bands) == 1:
        return bands[0]
    whole = Image.new("RGB", (bands[0].width, sum(band.height for band in bands)))
    top = 0
    for band in bands:
        whole.paste(band, (0, top))
        top += band.height
    return whole
