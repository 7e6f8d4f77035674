"""An image's bytes become the pixels that an encoder takes.

One decoder (Pillow) reads every format, so an image gives the same pixels in whatever file type and on whatever
machine it comes. Pillow releases the interpreter lock while it decodes and resizes, so a few threads keep an encoder
busy.

A decoded image is turned, converted and made small band by band, so that memory follows its pixels once.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from huse.extract.images.framing import Extent, Framing, Resampling
from huse.extract.images.inner_sizes import sizes_within
from huse.extract.images.modes import mend_transparent_color, to_rgb
from huse.extract.images.orientation import Box, Turn, load_as_stored, stored_box, upright_size

READING = "first frame, EXIF orientation, 8-bit RGB over white"
PREPROCESSING = f"{READING}, whole picture resized bilinear with antialiasing"
"""`decode_image` in words, for the encoders' specs; before an image is framed, and to the whole of it."""

MAX_PIXELS = 178_956_970
"""Most pixels of an image by default, as Pillow's own limit against decompression bombs."""

ENOUGH = 3
"""JPEGs are decoded at the smallest scale that is at least this many times the encoder's size; docs/scaling.md."""

BAND_PIXELS = 1 << 20
"""Pixels that are turned and converted at a time."""

LONGEST = 1 << 15
"""Longer sides are averaged first, to no less than `ENOUGH` times the encoder's size."""

MANY = 1 << 25
"""Images of more pixels are decoded one at a time, whatever the number of threads."""

END_OF_JPEG = b"\xff\xd9"

NOT_IMAGES = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "IPTC"}
"""What Pillow knows and is no raster, runs another program, or holds a file of any other format."""

QUIET = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
"""The filter of Python's warnings that leaves out Pillow's."""

Part = tuple[tuple[int, int], Image.Image]
"""A part of an image, behind the place (left, top) where it lies."""

ImageFile.LOAD_TRUNCATED_IMAGES = False

Sides = Callable[[tuple[int, int]], tuple[Extent, Extent]]
"""What becomes of the width and height of an upright image of (width, height)."""

alone = threading.Lock()
"""Held while an image of more than `MANY` pixels is decoded."""


class ImageError(Exception):
    """An image cannot be used; the message says why. It costs its own row, never the run."""


def allow_pixels(most: int) -> None:
    """Lets Pillow open images of up to this many pixels, in the whole process; `opened_image` has the limit."""
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, most)


@contextmanager
def opened_image(
    data: bytes, max_pixels: int = MAX_PIXELS, option: str = "max_pixels (--max-pixels)"
) -> Iterator[ImageFile.ImageFile]:
    """An image of which the header alone was read: the one place where whatever goes wrong is the image's fault.

    Pillow's format readers raise almost anything on damaged files: `struct.error`, RuntimeError, MemoryError, ... All
    that is raised in the block of this context is a ImageError, and Pillow's warnings, which are of damage that it
    gets over, are not told.

    Args:
        data: the file's bytes, any format that Pillow reads and decodes itself.
        max_pixels: an image of more pixels is refused here, before it is decoded.
        option: what the message names as that limit.

    Raises:
        ImageError: not an image, too large, or anything that happened in the block.
    """
    _ignore_warnings()
    allow_pixels(max_pixels)
    try:
        with _open(data) as image:
            for size in (image.size, *sizes_within(image, data)):
                _require_size(size, max_pixels, option)
            if any(tile.codec_name == "fits_gzip" for tile in image.tile):
                raise ImageError("a compressed FITS does not tell how large it becomes; save it without compression")
            mend_transparent_color(image)
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError("not an image in a known format") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"too many pixels: {reason_of(error)}; allow them by {option}") from error
    except MemoryError as error:
        raise ImageError(f"needs more memory than there is; a smaller {option} refuses it at once") from error
    except Exception as error:
        raise ImageError(f"cannot be decoded: {reason_of(error)}") from error


def decode_image(
    data: bytes,
    wanted: tuple[int, int] | Framing,
    max_pixels: int = MAX_PIXELS,
    recover_truncated: bool = False,
    option: str = "max_pixels (--max-pixels)",
    alone: AbstractContextManager[object] = alone,
) -> NDArray[np.uint8]:
    """Decodes, orients, flattens and resizes one image.

    Args:
        data: the file's bytes, any format that Pillow reads.
        wanted: (height, width) in pixels of the whole image, or how it is framed.
        max_pixels: most pixels that are decoded.
        recover_truncated: of a JPEG that was cut off, take what is there; the rest is gray.
        option: how the caller names `max_pixels`, for the message.
        alone: entered for an image of more than `MANY` pixels.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        ImageError: not an image, truncated, or too large.
    """
    framing = wanted if isinstance(wanted, Framing) else Framing.whole(wanted)
    with opened_image(data + END_OF_JPEG if recover_truncated else data, max_pixels, option) as image:
        side, whole = ENOUGH * framing.longest or max(image.size), image.size
        # of JPEGs alone: the inverse DCT at 1/2, 1/4 or 1/8, where that is enough
        drafted = image.draft(None, (side, side)) is not None
        return np.asarray(_upright(image, framing.sides, framing.resampling, alone, whole if drafted else None))


def small_image(data: bytes, side: int, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """An image within a square of `side` pixels, as an encoder sees it: turned, in RGB over white.

    Raises:
        ImageError: as `decode_image`.
    """

    def within(size: tuple[int, int]) -> tuple[Extent, Extent]:
        scale = min(side / max(size), 1.0)
        return Extent.whole(max(round(size[0] * scale), 1)), Extent.whole(max(round(size[1] * scale), 1))

    with opened_image(data, max_pixels) as image:
        image.draft(None, (2 * side, 2 * side))
        return _upright(image, within, Resampling.LANCZOS, alone)


def image_type(data: bytes, max_pixels: int = MAX_PIXELS, option: str = "max_pixels (--max-pixels)") -> str:
    """The media type of an image, such as ``image/png``, by its bytes; it is not decoded.

    Raises:
        ImageError: as `decode_image`.
    """
    with opened_image(data, max_pixels, option) as image:
        return Image.MIME.get(image.format or "", "application/octet-stream")


def _upright(
    image: Image.Image,
    sides: Sides,
    how: Resampling,
    alone: AbstractContextManager[object],
    whole: tuple[int, int] | None = None,
) -> Image.Image:
    """Decodes an image and makes it upright, RGB and what `sides` says of its upright (width, height).

    Args:
        image: of which the header was read.
        sides: what becomes of width and height.
        how: the filter.
        alone: entered for an image of more than `MANY` pixels.
        whole: (width, height) in the file, of an image that is decoded at a smaller scale.
    """
    with alone if image.width * image.height > MANY else nullcontext():
        turn = load_as_stored(image)
        size = upright_size(image.im.size, turn)
        width, height = sides(upright_size(whole or image.im.size, turn))
        steps = _step(size[0], width.resized), _step(size[1], height.resized)
        rows = max(BAND_PIXELS // size[0] // steps[1], 1) * steps[1]
        piece = partial(_piece, image, size, turn, steps)

        def strip(top: int) -> Part:
            band = _band(piece, (0, top, size[0], min(top + rows, size[1])), steps)
            # width, then height: left to itself, Pillow chooses the order by version and size, and rounding follows it
            return (0, top // steps[1]), width.across(band, how)

        across = _joined((width.length, -(-size[1] // steps[1])), (strip(top) for top in range(0, size[1], rows)))
    return height.down(across, how)


def _step(length: int, wanted: int) -> int:
    """How many pixels of a side are averaged to one first; 1 for all but very long ones."""
    return max(min(-(-length // LONGEST), length // (ENOUGH * wanted)), 1)


def _band(piece: Callable[[Box], Image.Image], box: Box, steps: tuple[int, int]) -> Image.Image:
    """The rows of a box over the whole width of the upright image, of pieces that are averaged over `steps`."""
    _, top, right, bottom = box
    columns = max(BAND_PIXELS // (bottom - top) // steps[0], 1) * steps[0]

    def part(left: int) -> Part:
        return (left // steps[0], 0), piece((left, top, min(left + columns, right), bottom))

    return _joined(
        (-(-right // steps[0]), -(-(bottom - top) // steps[1])), (part(left) for left in range(0, right, columns))
    )


def _piece(
    image: Image.Image, size: tuple[int, int], turn: Turn | None, steps: tuple[int, int], box: Box
) -> Image.Image:
    """A box of the upright image, which has that size, in RGB, averaged over `steps`."""
    stored = stored_box(box, size, turn)
    piece = image if stored == (0, 0, *image.size) else image.crop(stored)
    piece = piece if turn is None else piece.transpose(turn)
    flat = to_rgb(piece, image)
    return flat if steps == (1, 1) else flat.reduce(steps)


def _joined(size: tuple[int, int], parts: Iterable[Part]) -> Image.Image:
    """Parts of an image as one; one that is all of it is not copied, which would hold up other threads.

    The parts come from generators and not by `map`, which would take a StopIteration of a damaged file for its end.
    """
    whole = None
    for place, part in parts:
        if part.size == size:
            return part
        whole = whole or Image.new("RGB", size, None)
        whole.paste(part, place)
    return whole or Image.new("RGB", size)


def _open(data: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(data), formats=_formats())
    except Exception:
        if data[4:8] != b"ftyp" or b"Exif" not in data:
            raise
        # no AVIF with broken EXIF is opened: without any, then
        return Image.open(io.BytesIO(data.replace(b"Exif", b"none")))


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in NOT_IMAGES)


def is_plain() -> bool:
    """Whether Pillow reads as it does in any other process: nobody has added formats here, or told it to be lenient."""
    _formats()
    readers = [opener.__module__ for opener, _ in Image.OPEN.values()]
    return all(name.startswith("PIL.") for name in readers) and not ImageFile.LOAD_TRUNCATED_IMAGES


def _ignore_warnings() -> None:
    """In the whole process: a context for it would hold for all threads, and end in one while another needs it."""
    if warnings.filters[:1] != [QUIET]:
        warnings.filterwarnings("ignore", module=QUIET[3].pattern)


def _require_size(size: tuple[int, int], limit: int, option: str) -> None:
    if size[0] * size[1] > limit:
        raise ImageError(f"too many pixels: {size[0]} x {size[1]}, {option} allows {limit} in all")


def reason_of(error: BaseException) -> str:
    """The message of any exception in one line."""
    return " ".join(str(error).split()) or type(error).__name__
