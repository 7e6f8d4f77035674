"""What is decoded as a whole inside an image, and may be larger than its header tells."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL import Image, TiffImagePlugin

PNG, PNG_SIZE = b"\x89PNG\r\n\x1a\n", struct.Struct(">16xII")
JPEG_2000, JPEG_2000_SIZE = b"\xff\x4f\xff\x51", struct.Struct(">8xII")
CONTAINERS = ("ICO", "CUR", "ICNS")
"""Formats that hold whole files of PNG or JPEG 2000."""

TILE_WIDTH, TILE_HEIGHT = 322, 323
"""Tags of TIFF."""


def sizes_within(image: Image.Image, data: bytes) -> Iterator[tuple[int, int]]:
    """(width, height) of what is decoded as a whole and may be larger than the image: a TIFF's tiles, inner files."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        yield image.tag_v2.get(TILE_WIDTH, 0), image.tag_v2.get(TILE_HEIGHT, 0)
    if image.format not in CONTAINERS:
        return
    for mark, layout in ((PNG, PNG_SIZE), (JPEG_2000, JPEG_2000_SIZE)):
        at = data.find(mark)
        while 0 <= at <= len(data) - layout.size:
            yield layout.unpack_from(data, at)
            at = data.find(mark, at + 1)
