"""Images are turned upright whatever else is wrong with their EXIF."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from huse.extract.images.decoding import BAND_PIXELS, decode_image, small_image
from huse.extract.images.modes import to_rgb
from huse.extract.images.orientation import TURNS, stored_box, upright_size

CASES = Path(__file__).parent / "samples"
GRADIENT = Image.fromarray(np.arange(12 * 20 * 3, dtype=np.uint16).reshape(12, 20, 3).astype(np.uint8))
EXACT = {"PNG": {}, "TIFF": {"compression": "tiff_lzw"}, "WEBP": {"lossless": True}}

ENTRY = b"\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
BROKEN = {
    "a rational stored as a signed one": b"\x1a\x01\x0a\x00\x01\x00\x00\x00\x26\x00\x00\x00",
    "a value far outside": b"\x1a\x01\x05\x00\x01\x00\x00\x00\xf0\xff\xff\x7f",
    "an unknown type": b"\x1a\x01\xee\x00\x01\x00\x00\x00\x00\x00\x00\x00",
    "a huge count": b"\x1a\x01\x02\x00\xff\xff\xff\x7f\x00\x00\x00\x00",
    "a directory that begins at itself": b"\x69\x87\x04\x00\x01\x00\x00\x00\x08\x00\x00\x00",
    "a directory outside": b"\x69\x87\x04\x00\x01\x00\x00\x00\xff\xff\xff\xff",
    "a place in words": b"\x25\x88\x02\x00\x04\x00\x00\x00here",
}


def with_exif(image: Image.Image, kind: str, exif: bytes) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif, **EXACT.get(kind, {}))
    return buffer.getvalue()


def exif_of(*entries: bytes) -> bytes:
    tail = b"\x00\x00\x00\x00" + b"\xff" * 8 + b"\x00" * 4
    return b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + bytes([len(entries), 0]) + b"".join(entries) + tail


def case(name: str) -> np.ndarray:  # type: ignore[type-arg]
    return decode_image((CASES / name).read_bytes(), (40, 40))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", list(EXACT))
def test_all_eight_orientations(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = GRADIENT if orientation == 1 else GRADIENT.transpose(TURNS[orientation])
    buffer = io.BytesIO()
    GRADIENT.save(buffer, kind, exif=exif, **EXACT[kind])
    expected = np.asarray(upright)
    np.testing.assert_array_equal(decode_image(buffer.getvalue(), expected.shape[:2]), expected)
    np.testing.assert_array_equal(np.asarray(small_image(buffer.getvalue(), 20)), expected)


@given(st.sampled_from([None, *TURNS.values()]), st.integers(1, 9), st.integers(1, 9), st.data())
def test_a_box_of_the_upright_image_is_found_in_the_stored_one(
    turn: Image.Transpose | None, width: int, height: int, data: st.DataObject
) -> None:
    stored = Image.fromarray(np.arange(width * height, dtype=np.uint8).reshape(height, width))
    upright = stored if turn is None else stored.transpose(turn)
    size = upright_size(stored.size, turn)
    assert size == upright.size
    left, top = data.draw(st.integers(0, size[0] - 1)), data.draw(st.integers(0, size[1] - 1))
    box = left, top, data.draw(st.integers(left + 1, size[0])), data.draw(st.integers(top + 1, size[1]))
    piece = stored.crop(stored_box(box, size, turn))
    turned = piece if turn is None else piece.transpose(turn)
    np.testing.assert_array_equal(np.asarray(turned), np.asarray(upright.crop(box)))


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_bands_change_no_pixel(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1900, 1300, 4), np.uint8))
    assert 2 * BAND_PIXELS < 1900 * 1300
    noise.save(buffer, "PNG", exif=exif, compress_level=0)
    upright = to_rgb(noise if orientation == 1 else noise.transpose(TURNS[orientation]))
    across = upright.resize((24, upright.height), Image.Resampling.BILINEAR)
    whole = across.resize((24, 16), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(decode_image(buffer.getvalue(), (16, 24)), np.asarray(whole))


def test_the_cases_of_broken_exif() -> None:
    good = case("good.jpg")
    np.testing.assert_array_equal(case("rational_srational_as_long.jpg"), good)
    for name in ("orientation_string.jpg", "cut_ifd.jpg"):
        np.testing.assert_array_equal(np.rot90(case(name), -1), good)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("broken", list(BROKEN))
def test_what_is_wrong_beside_the_orientation_costs_no_pixel(kind: str, broken: str) -> None:
    straight = decode_image(with_exif(GRADIENT, kind, b""), (12, 20))
    for entries in ((ENTRY, BROKEN[broken]), (BROKEN[broken], ENTRY)):
        data = with_exif(GRADIENT, kind, exif_of(*entries))
        np.testing.assert_array_equal(decode_image(data, (20, 12)), np.rot90(straight, -1))


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
@pytest.mark.parametrize("broken", [*BROKEN.values(), b"rubbish, no entry"])
def test_an_avif_with_broken_exif_is_an_image(broken: bytes) -> None:
    template = exif_of(b"\x0e\x01\x02\x00\x04\x00\x00\x00word")[6:]
    whole = with_exif(GRADIENT, "AVIF", template)
    assert template in whole
    data = whole.replace(template, exif_of(broken)[6:][: len(template)].ljust(len(template), b"\xff"))
    np.testing.assert_array_equal(decode_image(data, (12, 20)), decode_image(whole, (12, 20)))
    headless = whole.replace(template, template.replace(b"II*", b"???"))
    np.testing.assert_array_equal(decode_image(headless, (12, 20)), decode_image(whole, (12, 20)))


@pytest.mark.parametrize("exif", [b"rubbish", b"Exif\x00\x00rubbish", exif_of(), exif_of(ENTRY)[:17], b""])
def test_exif_that_is_none_costs_no_pixel(exif: bytes) -> None:
    np.testing.assert_array_equal(decode_image(with_exif(GRADIENT, "PNG", exif), (12, 20)), np.asarray(GRADIENT))


def test_a_tiff_with_a_broken_entry_is_turned_all_the_same() -> None:
    buffer = io.BytesIO()
    tags = Image.Exif()
    tags[0x0112] = 6
    tags[0x011A] = 72.0
    GRADIENT.save(buffer, "TIFF", exif=tags, dpi=(72, 72))
    data = bytearray(buffer.getvalue())
    at = data.index(b"\x1a\x01\x05\x00")
    data[at : at + 12] = BROKEN["a rational stored as a signed one"][:8] + bytes(
        [len(data) % 256, len(data) // 256, 0, 0]
    )
    data += b"\xff\xff\xff\xff\x00\x00\x00\x00"
    np.testing.assert_array_equal(decode_image(bytes(data), (20, 12)), np.asarray(GRADIENT.transpose(TURNS[6])))
