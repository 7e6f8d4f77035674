"""A picture of any mode as 8-bit RGB over white."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS_PER_SAMPLE, SAMPLE_FORMAT = 258, 339
"""Tags of TIFF."""


def to_rgb(picture: Image.Image, file: Image.Image | None = None) -> Image.Image:
    """A picture of any mode as 8-bit RGB, transparent parts over white.

    Args:
        picture: the picture, or a part of one.
        file: the opened file that it is a part of, which tells what its numbers mean.
    """
    if picture.mode.startswith("I") or picture.mode == "F":
        return _deep_to_rgb(picture, white_of(file or picture))
    if picture.has_transparency_data:
        clear = picture.info.get("transparency")
        if isinstance(clear, tuple) and max(clear) > 255:  # of 16-bit samples, of which Pillow keeps the high bytes
            picture.info["transparency"] = tuple(value >> 8 for value in clear)
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return picture.convert("RGB")


def white_of(file: Image.Image) -> float:
    """The value that is white in a deep gray picture, by its mode and file format and never by its values.

    It is 1 for floats, the largest number of a TIFF's samples, and 65535 elsewhere.
    """
    if file.mode == "F":
        return 1.0
    tags = getattr(file, "tag_v2", None)
    if tags is None:
        return 65535.0
    bits, kind = (_first(tags.get(tag), default) for tag, default in ((BITS_PER_SAMPLE, 16), (SAMPLE_FORMAT, 1)))
    signed = file.mode == "I" and (kind == 2 or bits >= 32)  # Pillow keeps 32 bits as signed ones
    return float(2 ** (bits - signed) - 1)


def _first(value: Any, default: int) -> int:
    if isinstance(value, tuple):
        value = value[0] if value else None
    return value if isinstance(value, int) and 1 <= value <= 32 else default


def _deep_to_rgb(picture: Image.Image, white: float) -> Image.Image:
    values: NDArray[np.float64] = np.asarray(picture, dtype=np.float64)
    gray = np.rint(np.clip(np.nan_to_num(values) * (255.0 / white), 0, 255)).astype(np.uint8)
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        gray = np.where(values == clear, np.uint8(255), gray)
    return Image.fromarray(gray).convert("RGB")
