"""What is sent as a row's image: only what decodes as one, as its own media type."""

from __future__ import annotations

import io
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from threading import BoundedSemaphore
from urllib.parse import urlsplit

from huse.extract.images.decoding import END_OF_JPEG, MAX_PIXELS, opened_image, small_image
from huse.extract.images.orientation import load_as_stored
from huse.extract.images.reading import read_image
from huse.extract.images.tar_members import tar_of
from huse.extract.manifest.locations import image_location
from huse.features.files.place import is_file, is_url

TYPES = {
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
}
"""Formats that browsers show, as they are."""

TURNED_BY_BROWSERS = ("JPEG", "MPO")
"""Formats whose EXIF orientation all browsers follow."""

MOST_PIXELS, MOST_BYTES = 40_000_000, 32 * 2**20
"""What is sent as it is; larger images, and those of other formats, are sent reduced."""

SIDE = 1600
"""Pixels of a reduced image's longer side."""

FETCHED = ("s3", "gs", "gcs", "az", "abfs", "abfss", "hf")
"""URLs that the server reads itself, of stores that browsers have no key for; it follows no others."""

KNOWN = 50_000
"""Verdicts on images that are remembered."""

DECODED_AT_ONCE = 2


@dataclass(frozen=True)
class Shown:
    """An image as it is sent."""

    data: bytes
    media_type: str


def location(uri: str, folder: Path) -> str | None:
    """Where a row's image is, for this server: a path, or a URL; None when it cannot be shown.

    Args:
        uri: of a row that has an image; empty when it came out of a table's cell.
        folder: where relative ones start from.
    """
    source = image_location(uri, folder)
    if not is_url(source):
        return source if uri and (is_file(source) or tar_of(source)) else None
    if is_on_the_web(source):
        return source if _is_web_address(source) else None
    return source if source.partition("://")[0] in FETCHED else None


def is_on_the_web(source: str) -> bool:
    """Whether a source is a URL that browsers fetch themselves."""
    return source.lower().startswith(("http://", "https://"))


def _is_web_address(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        uri.encode("utf-8")
        return bool(parts.hostname) and parts.username is None and uri.isprintable() and not set(uri) & set(" \\\"'<>")
    except ValueError:
        return False


class ShownImages:
    """Reads and checks images; each is decoded at its first showing, and remembered by its bytes."""

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self.max_pixels = max_pixels
        self._types: dict[bytes, str] = {}
        self._few = BoundedSemaphore(DECODED_AT_ONCE)

    def show(self, source: str) -> Shown:
        """The image at a source.

        Raises:
            ImageError: there is none, or what is there is no image.
        """
        data = read_image(source)
        digest = blake2b(data, digest_size=16).digest()
        if digest not in self._types:
            with self._few:
                media_type = _media_type(data, self.max_pixels)
            if len(self._types) >= KNOWN:
                self._types.clear()
            self._types[digest] = media_type
        return Shown(data, self._types[digest]) if self._types[digest] else self._reduced(data)

    def _reduced(self, data: bytes) -> Shown:
        buffer = io.BytesIO()
        with self._few:
            small_image(_completed(data), SIDE, self.max_pixels).save(buffer, "JPEG", quality=90)
        return Shown(buffer.getvalue(), "image/jpeg")


def _media_type(data: bytes, max_pixels: int) -> str:
    """The type of an image that is sent as it is, or empty when it is to be reduced; it is decoded to see."""
    with opened_image(_completed(data), max_pixels) as image:
        name, pixels = image.format or "", image.width * image.height
        image.draft(None, (64, 64))
        turn = load_as_stored(image)
    upright = turn is None or name in TURNED_BY_BROWSERS
    return TYPES.get(name, "") if upright and pixels <= MOST_PIXELS and len(data) <= MOST_BYTES else ""


def _completed(data: bytes) -> bytes:
    """A JPEG that was cut off is shown as far as it goes."""
    return data + END_OF_JPEG if data.startswith(b"\xff\xd8") else data
