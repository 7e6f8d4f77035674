"""How an image is turned upright: the EXIF orientation is looked up alone, so that broken neighbors cost no pixel."""

from __future__ import annotations

import struct

from PIL import ExifTags, Image, TiffImagePlugin

Turn = Image.Transpose
Box = tuple[int, int, int, int]

ORIENTATION = int(ExifTags.Base.Orientation)
INTEGERS = {1: "B", 3: "H", 4: "I"}
"""EXIF's types of whole numbers, as `struct` names them."""

TURNS = {
    2: Turn.FLIP_LEFT_RIGHT,
    3: Turn.ROTATE_180,
    4: Turn.FLIP_TOP_BOTTOM,
    5: Turn.TRANSPOSE,
    6: Turn.ROTATE_270,
    7: Turn.TRANSVERSE,
    8: Turn.ROTATE_90,
}
"""What makes an image of an EXIF orientation upright."""

SIDEWAYS = (Turn.TRANSPOSE, Turn.ROTATE_270, Turn.TRANSVERSE, Turn.ROTATE_90)
MIRRORED_ACROSS = (Turn.FLIP_LEFT_RIGHT, Turn.ROTATE_180, Turn.ROTATE_270, Turn.TRANSVERSE)
MIRRORED_DOWN = (Turn.FLIP_TOP_BOTTOM, Turn.ROTATE_180, Turn.ROTATE_90, Turn.TRANSVERSE)


def load_as_stored(image: Image.Image) -> Turn | None:
    """Decodes an image as it lies in its file.

    Returns:
        What makes it upright; None when that is nothing, or cannot be read.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # while it loads a TIFF Pillow turns it, by way of all its entries, and fails where another is broken
        image.load_end = lambda: None  # type: ignore[method-assign]
        turn = TURNS.get(_entry(image))
        image.load()
        return turn
    image.load()  # a PNG may have its EXIF behind the pixels
    return TURNS.get(_entry(image))


def _entry(image: Image.Image) -> int:
    try:
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            value = image.tag_v2.get(ORIENTATION)
        else:  # Pillow's reader stops at the first broken entry; it knows where else an orientation may be
            value = _within(image.info.get("exif", b"")) or image.getexif().get(ORIENTATION)
    except Exception:  # noqa: BLE001 - whatever is wrong with it: the image is shown as it is stored
        return 1
    return value if isinstance(value, int) else 1


def _within(exif: bytes) -> int | None:
    """The orientation in a block of EXIF, whatever its other entries hold."""
    block = exif[exif.find(b"Exif\0\0") + 6 :] if exif.startswith(b"Exif\0\0") else exif
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return None
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, start)
    for at in range(start + 2, min(start + 2 + 12 * count, len(block) - 11), 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", block, at)
        if tag == ORIENTATION and kind in INTEGERS and values == 1:
            return int(struct.unpack_from(order + INTEGERS[kind], block, at + 8)[0])
    return None


def upright_size(size: tuple[int, int], turn: Turn | None) -> tuple[int, int]:
    """(width, height) of a stored image once it is turned."""
    return size[::-1] if turn in SIDEWAYS else size


def stored_box(box: Box, size: tuple[int, int], turn: Turn | None) -> Box:
    """Where a box (left, top, right, bottom) of the upright image lies in the stored one.

    Args:
        box: in the upright image.
        size: (width, height) of the upright image.
        turn: what makes the stored image upright.
    """
    left, top, right, bottom = box
    width, height = size
    if turn in MIRRORED_ACROSS:
        left, right = width - right, width - left
    if turn in MIRRORED_DOWN:
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if turn in SIDEWAYS else (left, top, right, bottom)
