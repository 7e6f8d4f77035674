"""Framed images against Pillow's own resize and crop of the whole image."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from huse.extract.images.decoding import BAND_PIXELS, decode_image
from huse.extract.images.framing import LONG, Framing, Resampling


def noise(width: int, height: int) -> Image.Image:
    """Noise over a slope, so that the place of every pixel shows."""
    slope = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 120, width))[..., None]
    made = slope + np.random.default_rng(0).integers(0, 15, (height, width, 3))
    return Image.fromarray(made.astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))
    return file.getvalue()


def resized(image: Image.Image, size: tuple[int, int], how: Resampling) -> Image.Image:
    """Pillow's resize, width before height."""
    return image.resize((size[0], image.height), how).resize(size, how)


def as_transformers(image: Image.Image, framing: Framing) -> NDArray[np.uint8]:
    """Resize and center crop as their image processors have them, on the whole image."""
    if isinstance(framing.resize, int):
        short, long = sorted(image.size)
        other = int(framing.resize * long / short)
        size = (framing.resize, other) if image.width <= image.height else (other, framing.resize)
        image = resized(image, size, framing.resampling)
    elif framing.resize is not None:
        image = resized(image, framing.resize[::-1], framing.resampling)
    pixels = np.asarray(image)
    (height, width), (h, w) = framing.size, pixels.shape[:2]
    top, left = (h - height) // 2, (w - width) // 2
    if top >= 0 and left >= 0:
        return pixels[top : top + height, left : left + width]
    larger = np.zeros((max(height, h), max(width, w), 3), np.uint8)
    above, before = -(-(larger.shape[0] - h) // 2), -(-(larger.shape[1] - w) // 2)
    larger[above : above + h, before : before + w] = pixels
    top, left = top + above, left + before
    return larger[max(0, top) : top + height, max(0, left) : left + width]


SIZES = [(200, 150), (150, 200), (224, 224), (97, 311), (31, 33), (1, 1), (1000, 40), (40, 1000), (33, 32)]

FRAMINGS = [
    *(Framing((32, 32), 32, how) for how in Resampling),
    Framing((32, 32), 37, Resampling.BICUBIC),
    Framing((32, 48), 32, Resampling.BICUBIC),
    Framing((33, 40), 20, Resampling.BICUBIC),
    Framing((32, 32), (40, 36), Resampling.BICUBIC),
    Framing((32, 32), (32, 32), Resampling.LANCZOS),
    Framing((64, 64), (40, 36), Resampling.BILINEAR),
    Framing((65, 31), None),
]


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_framed_pixels_are_those_of_pillow(size: tuple[int, int], framing: Framing) -> None:
    image = noise(*size)
    np.testing.assert_array_equal(decode_image(encoded(image), framing), as_transformers(image, framing))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_framed_is_the_upright_image(orientation: int) -> None:
    stored = noise(150, 90)
    data = encoded(stored, "PNG", orientation)
    upright = decode_image(data, (150, 90) if orientation > 4 else (90, 150))
    framing = Framing((32, 32), 40, Resampling.BICUBIC)
    np.testing.assert_array_equal(decode_image(data, framing), as_transformers(Image.fromarray(upright), framing))


def test_large_images_are_framed_band_by_band() -> None:
    image = noise(1700, 1300)
    assert image.width * image.height > 2 * BAND_PIXELS
    framing = Framing((32, 32), 32, Resampling.BICUBIC)
    np.testing.assert_array_equal(decode_image(encoded(image), framing), as_transformers(image, framing))


@pytest.mark.parametrize("size", [(1000, 751), (751, 1000), (999, 998)])
def test_a_jpeg_decoded_at_a_smaller_scale_is_cut_at_the_same_place(size: tuple[int, int]) -> None:
    smooth = noise(*size).resize((60, 45)).resize(size, Resampling.BICUBIC)
    data = encoded(smooth, "JPEG")
    framing = Framing((32, 32), 40, Resampling.BICUBIC)
    expected = as_transformers(Image.open(io.BytesIO(data)), framing).astype(int)
    assert np.abs(decode_image(data, framing) - expected).max() <= 4


@pytest.mark.parametrize("size", [(20_000, 2), (2, 20_000), (30_000, 20), (1, 9_000)])
def test_very_long_images_cost_no_more_than_what_is_cut_out(size: tuple[int, int]) -> None:
    image = noise(*size)
    data = encoded(image)
    framing = Framing((32, 32), 32, Resampling.BICUBIC)
    assert max(size) / min(size) * 32 > LONG
    tracemalloc.start()
    found = decode_image(data, framing)
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()
    if max(size) == 30_000:  # the whole fits in memory
        middle = image.crop((14_500, 0, 15_500, 20))
        expected = as_transformers(middle, framing).astype(int)
        assert np.abs(found - expected).max() <= 1


def test_a_framing_in_words() -> None:
    assert str(Framing.whole((224, 224))) == "whole picture resized bilinear to 224 x 224"
    assert str(Framing((224, 224), 256, Resampling.BICUBIC)) == "shorter side resized bicubic to 256, middle 224 x 224"
    assert len({str(framing) for framing in FRAMINGS}) == len(FRAMINGS)
