from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from huse.extract.images.decoding import (
    MAX_PIXELS,
    ImageError,
    allow_pixels,
    decode_image,
    image_type,
)
from huse.extract.images.modes import to_rgb

SIZE = (16, 24)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient() -> Image.Image:
    y, x = np.mgrid[0:48, 0:72]
    return Image.fromarray(np.stack([y * 4, x * 3, (x + y) * 2], axis=2).astype(np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG", "PPM"])
def test_every_format_gives_the_same_pixels(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    exact = decode_image(encoded(gradient(), "PNG"), SIZE).astype(int)
    assert exact.shape == (16, 24, 3)
    difference = np.abs(decode_image(encoded(gradient(), kind, **options), SIZE).astype(int) - exact)
    limit = {"GIF": 12, "JPEG": 3}.get(kind, 0)
    assert difference.max() <= limit


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    turned = encoded(gradient(), "PNG", exif=exif)
    expected = gradient().rotate(-90, expand=True)
    np.testing.assert_array_equal(decode_image(turned, (72, 48)), np.asarray(expected))


def test_transparency_is_composed_over_white() -> None:
    half = Image.new("RGBA", (8, 8), (255, 0, 0, 128))
    np.testing.assert_allclose(decode_image(encoded(half, "PNG"), (8, 8))[0, 0], [255, 127, 127], atol=1)
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    clear = encoded(palette, "PNG", transparency=1)
    np.testing.assert_array_equal(decode_image(clear, (8, 8))[0, 0], [255, 255, 255])
    np.testing.assert_array_equal(decode_image(encoded(palette, "PNG"), (8, 8))[0, 0], [10, 20, 30])


def test_gray_and_deep_modes() -> None:
    deep = Image.fromarray(np.full((8, 8), 40000, np.uint16))
    np.testing.assert_array_equal(decode_image(encoded(deep, "PNG"), (8, 8))[0, 0], [156, 156, 156])
    cmyk = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")
    assert decode_image(cmyk, (8, 8))[0, 0, 0] > 200
    assert to_rgb(Image.new("1", (2, 2), 1)).getpixel((0, 0)) == (255, 255, 255)


def test_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode_image(data, (8, 8))[0, 0], [255, 0, 0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"just words", "not an image"),
        (encoded(gradient(), "JPEG")[:300], "decoded"),
        (encoded(gradient(), "PNG")[:100], "decoded"),
    ],
)
def test_what_is_no_image_says_so(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        decode_image(data, SIZE)


def test_bombs_are_refused_by_what_their_header_says() -> None:
    with pytest.raises(ImageError, match=r"too many pixels: 72 x 48, max_pixels \(--max-pixels\) allows 3455 in all"):
        decode_image(encoded(gradient(), "PNG"), SIZE, max_pixels=72 * 48 - 1)
    decode_image(encoded(gradient(), "PNG"), SIZE, max_pixels=72 * 48)
    header = encoded(Image.new("1", (30_000, 30_000)), "PNG")[:200]  # 900 million pixels in 200 bytes
    with pytest.raises(ImageError, match=r"too many pixels.*--max-pixels"):
        decode_image(header, SIZE)


def test_pillows_own_limit_makes_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 89_478_485)
    flat = encoded(Image.new("L", (14_000, 13_000)), "PNG")  # 182 million pixels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        allow_pixels(MAX_PIXELS)
        with pytest.raises(ImageError, match="too many pixels"):
            decode_image(flat, SIZE)
        allow_pixels(200_000_000)
        assert not decode_image(flat, SIZE, max_pixels=200_000_000).any()


def test_a_jpeg_that_was_cut_off_is_recovered_on_request() -> None:
    whole = encoded(gradient().resize((720, 480)), "JPEG", quality=95)
    half = whole[: len(whole) // 2]
    with pytest.raises(ImageError, match="truncated"):
        decode_image(half, SIZE)
    recovered = decode_image(half, SIZE, recover_truncated=True).astype(int)
    expected = decode_image(whole, SIZE).astype(int)
    assert np.abs(recovered[:6] - expected[:6]).max() <= 4
    np.testing.assert_array_equal(decode_image(whole, SIZE, recover_truncated=True), expected)


def test_large_jpegs_are_decoded_small_with_almost_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    large = Image.fromarray(noise).resize((1600, 1200), Image.Resampling.BICUBIC)
    data = encoded(large, "JPEG", quality=90)
    decoded: list[tuple[int, int]] = []
    load = ImageFile.ImageFile.load

    def recorded(image: ImageFile.ImageFile) -> object:
        decoded.append(image.size)
        return load(image)

    full = decode_image(encoded(Image.open(io.BytesIO(data)), "PNG"), (100, 100)).astype(int)
    monkeypatch.setattr(ImageFile.ImageFile, "load", recorded)
    scaled = decode_image(data, (100, 100)).astype(int)
    assert set(decoded) == {(400, 300)}
    assert np.abs(scaled - full).mean() < 0.5
    turned = Image.Exif()
    turned[0x0112] = 6
    sideways = decode_image(encoded(large, "JPEG", quality=90, exif=turned), (100, 100)).astype(int)
    assert np.abs(sideways - np.rot90(scaled, -1)).mean() < 2


def test_progressive_jpegs_are_images_like_others() -> None:
    plain, progressive = (encoded(gradient(), "JPEG", quality=95, progressive=p) for p in (False, True))
    np.testing.assert_array_equal(decode_image(plain, SIZE), decode_image(progressive, SIZE))


GROWTH = """
import io, sys
from PIL import Image
from huse.extract.images.decoding import decode_image
data = io.BytesIO()
Image.new("RGBA", (8, 8)).save(data, "PNG")
decode_image(data.getvalue(), (8, 8))
whole = open(sys.argv[1], "rb").read()
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
before = peak()
decode_image(whole, (224, 224))
print((peak() - before) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read where Linux has it")
@pytest.mark.parametrize(
    ("width", "height", "orientation"),
    [(1, 1_000_000, 1), (1_000_000, 1, 6), (1_000_000, 1, 1), (5_000, 5_000, 1), (5_000, 5_000, 6)],
)
def test_memory_is_one_decoded_image_whatever_its_shape(
    width: int, height: int, orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGBA", (width, height), (200, 30, 30, 77)).save(tmp_path / "a.png", exif=exif)
    command = [sys.executable, "-c", GROWTH, str(tmp_path / "a.png")]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    decoded = 4 * width * height / 2**20  # MiB; Pillow keeps 8 bytes a row beside them
    assert grown < decoded + 90 + 8 * max(width, height) / 2**20


@pytest.mark.parametrize("name", ["script.eps", "drawing.svg", "page.html"])
def test_what_is_no_raster_is_no_image(name: str) -> None:
    texts = {".eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", ".svg": b"<svg/>", ".html": b"<html>"}
    with pytest.raises(ImageError, match="not an image"):
        decode_image(texts[Path(name).suffix], SIZE)


def test_an_images_media_type_is_told_by_its_bytes() -> None:
    assert [image_type(encoded(gradient(), kind)) for kind in ("PNG", "JPEG", "WEBP")] == [
        "image/png",
        "image/jpeg",
        "image/webp",
    ]
    with pytest.raises(ImageError):
        image_type(b"root:x:0:0")
