"""An image of any mode as 8-bit RGB over white.

Which values are black and white in a gray image of more than 8 bits is told by mode and file, never by its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

BITS, SAMPLE_FORMAT, PHOTOMETRIC = 258, 339, 262
"""TIFF tags: bits a sample; 1 unsigned, 2 signed, 3 float; 0 when the lowest value is white."""

PNG_SHADES = {"L;2": 85, "L;4": 17}
"""What Pillow multiplies the grays of a PNG of 2 or 4 bits by."""

FORMATS_OF_16_BITS = ("PNG", "PPM")
"""Their deep grays may come in Pillow's 32-bit mode."""


@dataclass(frozen=True)
class GrayScale:
    """The values that are black and white, and whether Pillow's signed integers stand for unsigned ones."""

    black: float
    white: float
    unsigned: bool = False

    def to_8_bit(self, image: Image.Image) -> Image.Image:
        """Values outside the scale are cut to it, what is no number is black, and a transparent value is white."""
        values = np.asarray(image)
        if self.unsigned:
            values = values.view(np.uint32)
        share = (values.astype(np.float64) - self.black) * (255.0 / (self.white - self.black))
        gray = np.clip(np.rint(np.nan_to_num(share)), 0, 255).astype(np.uint8)
        key = image.info.get("transparency")
        if isinstance(key, int):
            gray[values == key] = 255
        return Image.fromarray(gray)


def to_rgb(image: Image.Image, file: Image.Image | None = None) -> Image.Image:
    """An image of any mode as 8-bit RGB, transparent parts over white.

    Args:
        image: the image, or a part of one.
        file: the opened file that it is a part of, which tells what its values mean.
    """
    scale = gray_scale(file or image)
    if scale is not None:
        image = scale.to_8_bit(image)
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def gray_scale(image: Image.Image) -> GrayScale | None:
    """The scale of a gray image of more than 8 bits, None of all others.

    Floats go from 0 to 1, integers from 0 to the largest that the file's type can hold.
    """
    if image.mode != "F" and not image.mode.startswith("I"):
        return None
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _of_tiff(image)
    if image.mode == "F":
        return GrayScale(0.0, 1.0)
    deep = image.mode == "I" and image.format not in FORMATS_OF_16_BITS
    return GrayScale(0.0, 2.0**31 - 1 if deep else 65535.0)


def _of_tiff(image: TiffImagePlugin.TiffImageFile) -> GrayScale:
    bits, kind = (image.tag_v2.get(tag, (default,))[0] for tag, default in ((BITS, 16), (SAMPLE_FORMAT, 1)))
    white = 1.0 if image.mode == "F" else 2.0 ** (bits - (kind == 2)) - 1
    unsigned = image.mode == "I" and kind == 1
    if image.tag_v2.get(PHOTOMETRIC) == 0:
        return GrayScale(white, 0.0, unsigned)
    return GrayScale(0.0, white, unsigned)


def mend_transparent_color(image: ImageFile.ImageFile) -> None:
    """A PNG names its transparent color in the bits of the file, where Pillow's pixels have 8."""
    key = image.info.get("transparency")
    kind = image.tile[0].args if image.format == "PNG" and image.tile else ""
    if isinstance(key, int) and kind in PNG_SHADES:
        image.info["transparency"] = key * PNG_SHADES[kind]
    if isinstance(key, tuple) and kind == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)
