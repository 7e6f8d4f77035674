from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from huse.extract.images import PictureError, decode_picture, read_picture, to_rgb

SIZE = (16, 24)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient() -> Image.Image:
    y, x = np.mgrid[0:48, 0:72]
    return Image.fromarray(np.stack([y * 4, x * 3, (x + y) * 2], axis=2).astype(np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG", "PPM"])
def test_every_format_gives_the_same_pixels(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    exact = decode_picture(encoded(gradient(), "PNG"), SIZE).astype(int)
    assert exact.shape == (16, 24, 3)
    difference = np.abs(decode_picture(encoded(gradient(), kind, **options), SIZE).astype(int) - exact)
    limit = {"GIF": 12, "JPEG": 3}.get(kind, 0)
    assert difference.max() <= limit


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    turned = encoded(gradient(), "PNG", exif=exif)
    expected = gradient().rotate(-90, expand=True)
    np.testing.assert_array_equal(decode_picture(turned, (72, 48)), np.asarray(expected))


def test_transparency_is_composed_over_white() -> None:
    half = Image.new("RGBA", (8, 8), (255, 0, 0, 128))
    np.testing.assert_allclose(decode_picture(encoded(half, "PNG"), (8, 8))[0, 0], [255, 127, 127], atol=1)
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    clear = encoded(palette, "PNG", transparency=1)
    np.testing.assert_array_equal(decode_picture(clear, (8, 8))[0, 0], [255, 255, 255])
    np.testing.assert_array_equal(decode_picture(encoded(palette, "PNG"), (8, 8))[0, 0], [10, 20, 30])


def test_gray_and_deep_modes() -> None:
    deep = Image.fromarray(np.full((8, 8), 40000, np.uint16))
    np.testing.assert_array_equal(decode_picture(encoded(deep, "PNG"), (8, 8))[0, 0], [156, 156, 156])
    cmyk = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")
    assert decode_picture(cmyk, (8, 8))[0, 0, 0] > 200
    assert to_rgb(Image.new("1", (2, 2), 1)).getpixel((0, 0)) == (255, 255, 255)


def test_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode_picture(data, (8, 8))[0, 0], [255, 0, 0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"just words", "not a picture"),
        (encoded(gradient(), "JPEG")[:300], "decoded"),
        (encoded(gradient(), "PNG")[:100], "decoded"),
    ],
)
def test_what_is_no_picture_says_so(data: bytes, message: str) -> None:
    with pytest.raises(PictureError, match=message):
        decode_picture(data, SIZE)


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(PictureError, match="too many pixels"):
        decode_picture(encoded(gradient(), "PNG"), SIZE)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of some damage that it gets over
def test_random_damage_costs_the_row_only() -> None:
    rng = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
        whole = encoded(gradient(), kind)
        for _ in range(60):
            broken = bytearray(whole)
            for place in rng.integers(0, len(whole), 8):
                broken[place] = rng.integers(256)
            with contextlib.suppress(PictureError):
                assert decode_picture(bytes(broken), SIZE).shape == (16, 24, 3)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="No such file"):
        read_picture(tmp_path / "absent.png")
    (tmp_path / "zero.png").write_bytes(b"")
    with pytest.raises(PictureError, match="empty file"):
        read_picture(tmp_path / "zero.png")
    with pytest.raises(PictureError, match="directory"):
        read_picture(tmp_path)
