"""Gray images of all depths: the mode and the file tell what is black and white, brightness grows with the values."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from huse.extract.images.decoding import decode_image
from huse.extract.images.modes import to_rgb

SIDE = 8


def written(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def shades(data: bytes) -> NDArray[np.uint8]:
    """The gray of each of the SIDE x SIDE pixels, in order."""
    pixels = decode_image(data, (SIDE, SIDE)).reshape(-1, 3)
    assert (pixels == pixels[:, :1]).all()
    return pixels[:, 0]


def png(depth: int, color: int, rows: bytes, transparent: bytes = b"") -> bytes:
    """A PNG of SIDE x SIDE pixels, of kinds that Pillow does not write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    width = len(rows) // SIDE
    lines = b"".join(b"\0" + rows[i * width : (i + 1) * width] for i in range(SIDE))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, depth, color, 0, 0, 0))
    key = chunk(b"tRNS", transparent) if transparent else b""
    return b"\x89PNG\r\n\x1a\n" + head + key + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


RAMPS = {
    "uint8": (np.uint8, 255),
    "uint16": (np.uint16, 65535),
    "int32": (np.int32, 2**31 - 1),
    "float32": (np.float32, 1.0),
}


@pytest.mark.parametrize("share", [1.0, 0.25])
@pytest.mark.parametrize(
    ("dtype", "kind"), [*((dtype, "TIFF") for dtype in RAMPS), ("uint8", "PNG"), ("uint16", "PNG")]
)
def test_a_ramp_is_a_ramp_whatever_its_largest_value(dtype: str, share: float, kind: str) -> None:
    scalar, white = RAMPS[dtype]
    ramp = (np.linspace(0, white * share, SIDE * SIDE)).astype(scalar).reshape(SIDE, SIDE)
    expected = np.linspace(0, 255 * share, SIDE * SIDE)
    np.testing.assert_allclose(shades(written(Image.fromarray(ramp), kind)), expected, atol=1)
    np.testing.assert_allclose(np.asarray(to_rgb(Image.fromarray(ramp)))[..., 0].ravel(), expected, atol=1)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_brightness_does_not_depend_on_the_other_pixels(dtype: str) -> None:
    scalar, white = RAMPS[dtype]
    dark = np.full((SIDE, SIDE), 0.4 * white).astype(scalar)
    spot = dark.copy()
    spot[-1, -1] = white
    one, two = (shades(written(Image.fromarray(values), "TIFF")) for values in (dark, spot))
    assert one[0] == two[0] == 102
    assert (one[-1], two[-1]) == (102, 255)


def test_16_bits_of_small_values_are_dark_and_not_white() -> None:
    small = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)
    for kind in ("PNG", "TIFF", "PPM"):
        assert shades(written(Image.fromarray(small), kind)).max() == 0


def test_floats_that_are_none_and_values_outside() -> None:
    values = np.zeros((SIDE, SIDE), np.float32)
    values[0, :5] = [np.nan, np.inf, -np.inf, -3, 7]
    assert shades(written(Image.fromarray(values), "TIFF"))[:5].tolist() == [0, 255, 0, 0, 255]


def tiff(values: NDArray[np.generic], bits: int, kind: int, photometric: int = 1) -> bytes:
    """An uncompressed TIFF, also of kinds that Pillow does not write."""
    entries = {256: SIDE, 257: SIDE, 258: bits, 259: 1, 262: photometric, 277: 1, 278: SIDE, 339: kind}
    entries |= {273: 8 + 2 + 12 * (len(entries) + 2) + 4, 279: values.nbytes}
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(4) + values.tobytes()


@pytest.mark.parametrize(
    ("dtype", "kind", "white"),
    [("<u2", 1, 2**16 - 1), ("<i2", 2, 2**15 - 1), ("<u4", 1, 2**32 - 1), ("<i4", 2, 2**31 - 1), ("<f4", 3, 1.0)],
)
def test_every_kind_of_tiff_has_its_own_white(dtype: str, kind: int, white: float) -> None:
    values = np.linspace(0, white, SIDE * SIDE).astype(dtype)
    got = shades(tiff(values, values.itemsize * 8, kind))
    np.testing.assert_allclose(got, np.linspace(0, 255, SIDE * SIDE), atol=1)


@pytest.mark.parametrize(("dtype", "kind"), [("<u2", 1), ("<f4", 3)])
def test_where_zero_is_white_it_is_white(dtype: str, kind: int) -> None:
    white = 1.0 if kind == 3 else 2**16 - 1
    values = np.linspace(0, white, SIDE * SIDE).astype(dtype)
    got = shades(tiff(values, values.itemsize * 8, kind, photometric=0))
    np.testing.assert_allclose(got, np.linspace(255, 0, SIDE * SIDE), atol=1)


def test_the_transparent_gray_of_16_bits_is_white() -> None:
    values = np.full((SIDE, SIDE), 20_000, ">u2")
    values[0, :4] = [1_000, 1_001, 1_000, 0]
    got = shades(png(16, 0, values.tobytes(), struct.pack(">H", 1_000)))
    assert got[:5].tolist() == [255, 4, 255, 0, 78]


@pytest.mark.parametrize(("depth", "step"), [(1, 255), (2, 85), (4, 17)])
def test_the_transparent_gray_of_few_bits_is_white(depth: int, step: int) -> None:
    most = 2**depth - 1
    pixels = np.arange(SIDE * SIDE) % (most + 1)
    bits = "".join(f"{pixel:0{depth}b}" for pixel in pixels)
    packed = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    plain = shades(png(depth, 0, packed))
    np.testing.assert_array_equal(plain, pixels * step)
    clear = shades(png(depth, 0, packed, struct.pack(">H", 1)))
    np.testing.assert_array_equal(clear, np.where(pixels == 1, 255, pixels * step))


def test_the_transparent_color_of_16_bits_is_white() -> None:
    values = np.full((SIDE, SIDE, 3), [10_000, 20_000, 30_000], ">u2")
    values[0, 0] = [40_000, 1, 2]
    pixels = decode_image(png(16, 2, values.tobytes(), struct.pack(">HHH", 40_000, 1, 2)), (SIDE, SIDE))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[1, 1].tolist() == [39, 78, 117]


MODES = {
    "1": 255,
    "L": 200,
    "LA": (200, 255),
    "La": (200, 255),
    "P": 200,
    "PA": (200, 255),
    "RGB": (200, 200, 200),
    "RGBA": (200, 200, 200, 255),
    "RGBa": (200, 200, 200, 255),
    "RGBX": (200, 200, 200, 0),
    "CMYK": (55, 55, 55, 0),
    "YCbCr": (200, 128, 128),
    "LAB": (205, 128, 128),
    "HSV": (0, 0, 200),
    "I;16": 200 * 257,
    "I": round(200 / 255 * (2**31 - 1)),
    "F": 200 / 255,
}


@pytest.mark.parametrize("mode", list(MODES))
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = Image.new(mode, (2, 2), MODES[mode])
    if mode in ("P", "PA"):
        image.putpalette(bytes(i for i in range(256) for _ in range(3)))
    color = np.asarray(to_rgb(image), int)[0, 0]
    assert color.shape == (3,)
    assert np.abs(color - (255 if mode == "1" else 200)).max() <= 12


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
def test_what_is_transparent_is_white_in_every_mode(mode: str) -> None:
    image = Image.new(mode, (2, 2), (0,) * len(mode))
    if mode == "PA":
        image.putpalette(bytes(768))
    assert np.asarray(to_rgb(image)).min() == 255
