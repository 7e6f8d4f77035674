"""Damaged images in every format that Pillow writes here: pixels or a ImageError, and nothing else."""

from __future__ import annotations

import gzip
import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from huse.embed.draw.thumbnails import Thumbnails
from huse.extract.images.decoding import (
    BAND_PIXELS,
    LONGEST,
    MANY,
    ImageError,
    decode_image,
    opened_image,
    small_image,
)
from huse.extract.images.reading import read_image

SIZE = (16, 24)
TRIES = 25
"""Damaged versions of each whole image."""

MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "I", "F", "CMYK", "YCbCr", "LAB")


def written(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient() -> Image.Image:
    y, x = np.mgrid[0:40, 0:56]
    return Image.fromarray(np.stack([y * 4, x * 3, (x + y) * 2], axis=2).astype(np.uint8))


def whole_images() -> Iterator[tuple[str, bytes]]:
    """Every format in every mode that it can be written and read in, also animated, compressed and with EXIF."""
    Image.init()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "words"
    for kind in sorted(set(Image.SAVE) & set(Image.OPEN)):
        for mode in MODES:
            image = gradient().convert("L").convert(mode) if mode == "F" else _as(gradient(), mode)
            for options in ({}, {"exif": exif}, {"save_all": True, "append_images": [image.copy()]}):
                data = _try(image, kind, options)
                if data is not None:
                    yield f"{kind} {mode} {sorted(options)}", data
    for compression in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits"):
        yield f"TIFF {compression}", written(gradient(), "TIFF", compression=compression)


def _as(image: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257)
    return image.convert(mode)


def _try(image: Image.Image, kind: str, options: dict[str, object]) -> bytes | None:
    try:
        data = written(image, kind, **options)
        decode_image(data, SIZE)
    except Exception:  # noqa: BLE001 - not a format, mode and option that go together here
        return None
    return data


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, most of them in the headers; or a piece lost, doubled, zeroed or cut off."""
    data = bytearray(whole)
    where = rng.integers(0, len(data) if rng.random() < 0.4 else min(len(data), 120), 1 + rng.integers(6))
    kind = rng.integers(6)
    first, last = sorted((int(where[0]), int(rng.integers(len(data)))))
    if kind == 0:
        return bytes(data[:first])
    if kind == 1:
        return bytes(data[:first] + data[min(last, first + 9) :])
    if kind == 2:
        return bytes(data[:last] + data[first:])
    for place in where:
        data[place] = rng.choice([0, 0xFF, data[place] ^ (1 << rng.integers(8)), rng.integers(256)])
    return bytes(data)


@pytest.mark.slow
def test_damage_of_any_kind_gives_pixels_or_an_image_error() -> None:
    rng = np.random.default_rng(0)
    messages: list[str] = []
    whole_again = 0
    kinds = set()
    for name, whole in whole_images():
        kinds.add(name.split()[0])
        for _ in range(TRIES):
            data = damaged(whole, rng)
            try:
                # few pixels allowed, so that a size that was changed costs no time
                assert decode_image(data, SIZE, max_pixels=1 << 20).shape == (16, 24, 3), name
                small_image(data, 20, max_pixels=1 << 20)
                whole_again += 1
            except ImageError as error:
                messages.append(str(error))
    assert {"JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "ICO", "TGA", "JPEG2000"} <= kinds
    assert min(len(messages), whole_again) > 100
    assert all(message and "\n" not in message for message in messages)


def test_the_case_of_an_avif_with_one_damaged_byte() -> None:
    with pytest.raises(ImageError, match=r"decoded|not an image"):
        decode_image((Path(__file__).parent / "samples" / "damaged.avif").read_bytes(), SIZE)


ANYTHING = [
    MemoryError(),
    RuntimeError("inside"),
    struct.error("inside"),
    AttributeError("inside"),
    NotImplementedError("inside"),
    RecursionError("inside"),
    StopIteration("inside"),
    KeyError("inside"),
    AssertionError(),
    zlib.error("inside"),
    UserWarning("inside"),
    SystemError("inside"),
    ValueError("two\nlines"),
]


@pytest.mark.parametrize("error", ANYTHING, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["open", "load", "draft", "convert"])
def test_whatever_is_raised_is_the_images_failure(
    error: Exception, place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = written(gradient().convert("P"), "PNG")
    (tmp_path / "a.png").write_bytes(data)

    def fail(*_: object, **__: object) -> None:
        raise error

    owner = {"open": Image, "load": ImageFile.ImageFile}.get(place, Image.Image)
    monkeypatch.setattr(owner, place, fail)
    with pytest.raises(ImageError) as caught:
        decode_image(data, SIZE)
    message = str(caught.value)
    assert "\n" not in message
    assert " ".join(str(error).split()) in message or type(error).__name__ in message or "memory" in message
    assert Thumbnails(tmp_path).image("a.png") is None
    assert Thumbnails(tmp_path).data_uri("a.png") == ""


def test_an_interrupt_is_nobodys_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def press(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "resize", press)
    with pytest.raises(KeyboardInterrupt):
        decode_image(written(gradient(), "PNG"), SIZE)


def test_pillows_warnings_stop_nothing() -> None:
    """Also not where they were made errors after the first image."""
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x09\x00\x12\x01\x03\x00\x01\x00"
    data = written(gradient(), "JPEG", exif=exif)
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert decode_image(data, SIZE).shape == (16, 24, 3)
    with pytest.warns(UserWarning, match="ours"):
        warnings.warn("ours", stacklevel=1)


@pytest.mark.parametrize("kind", ["ICO", "ICNS"])
def test_a_large_image_inside_a_small_one_is_refused_before_it_is_decoded(kind: str) -> None:
    def container(inner: bytes) -> bytes:
        if kind == "ICO":
            entry = struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(inner), 22)
            return entry + inner
        return b"icns" + struct.pack(">I", len(inner) + 16) + b"ic08" + struct.pack(">I", len(inner) + 8) + inner

    good = container(written(Image.new("RGBA", (256, 256), "red"), "PNG"))
    assert decode_image(good, SIZE)[0, 0].tolist() == [255, 0, 0]
    large = container(written(Image.new("1", (9000, 9000)), "PNG"))
    with pytest.raises(ImageError, match=r"too many pixels: 9000 x 9000, --max-upload-pixels allows 40000000 in all"):
        decode_image(large, SIZE, max_pixels=40_000_000, option="--max-upload-pixels")


def test_a_tile_larger_than_its_image_is_refused_before_it_is_decoded() -> None:
    def tiled(side: int) -> bytes:
        packed = zlib.compress(bytes(side * side))
        tags = {256: 8, 257: 8, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 134, 325: len(packed)}
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + packed

    assert not decode_image(tiled(16), SIZE).any()
    with pytest.raises(
        ImageError, match=r"too many pixels: 4096 x 4096, max_pixels \(--max-pixels\) allows 1000000 in all"
    ):
        decode_image(tiled(4096), SIZE, max_pixels=1_000_000)


def test_a_fits_that_may_become_of_any_size_is_refused() -> None:
    cards = ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "END"]
    extension = ["XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 8", "NAXIS2  = 8", "ZIMAGE  = T"]
    extension += ["ZBITPIX = 8", "ZNAXIS  = 2", "ZNAXIS1 = 8", "ZNAXIS2 = 8", "ZCMPTYPE= 'GZIP_1  '", "END"]
    blocks = ["".join(card.ljust(80) for card in block).ljust(2880) for block in (cards, extension)]
    data = "".join(blocks).encode() + gzip.compress(bytes(10_000_000))
    with pytest.raises(ImageError, match="compressed FITS"):
        decode_image(data, SIZE)


def test_a_program_is_no_image() -> None:
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    with pytest.raises(ImageError, match="not an image"):
        decode_image(program, SIZE)


def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(ImageError, match="not a regular file"):
            read_image(path)
    for name in ("a\0b.png", "\ud800.png"):
        with pytest.raises(ImageError):
            read_image(name)


@pytest.mark.parametrize("size", [(1, 1_100_000), (1_100_000, 1), (2, 600_000), (40_000, 30), (70, 40_000)])
@pytest.mark.parametrize("turned", [False, True])
def test_long_images_are_averaged_and_not_blown_up(
    size: tuple[int, int], turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    width, height = size
    assert width * height > BAND_PIXELS
    ramp = np.linspace(0, 250, max(size)).round().astype(np.uint8)
    values = np.broadcast_to(ramp[:, None] if height > width else ramp, (height, width))
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    largest = 0
    new = Image.new

    def recorded(mode: str, size: tuple[int, int], *rest: object) -> Image.Image:
        nonlocal largest
        largest = max(largest, size[0] * size[1])
        return new(mode, size, *rest)

    data = written(Image.fromarray(values), "PNG", exif=exif)
    monkeypatch.setattr(Image, "new", recorded)
    pixels = decode_image(data, (64, 64)).astype(int)[..., 0]
    upright = np.rot90(pixels) if turned else pixels
    along = upright.mean(axis=1) if height > width else upright.mean(axis=0)
    np.testing.assert_allclose(along, (np.arange(64) + 0.5) / 64 * 250, atol=2)
    assert largest <= LONGEST * 64


def test_the_width_of_a_long_image_keeps_its_pixels() -> None:
    """Averaging whole steps first is near to resizing at once."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).resize((50, 70_000), Image.Resampling.BICUBIC)
    ours = decode_image(written(noise, "PNG"), (64, 64)).astype(int)
    once = noise.resize((64, 70_000), Image.Resampling.BILINEAR).resize((64, 64), Image.Resampling.BILINEAR)
    assert np.abs(ours - np.asarray(once, int)).max() <= 2


def test_large_images_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(Image.new("L", (MANY // 4096 + 1, 4096)), "PNG")
    inside, most = 0, 0
    guard = threading.Lock()
    load = ImageFile.ImageFile.load

    def counted(image: ImageFile.ImageFile) -> object:
        nonlocal inside, most
        with guard:
            inside += 1
            most = max(most, inside)
        result = load(image)
        with guard:
            inside -= 1
        return result

    monkeypatch.setattr(ImageFile.ImageFile, "load", counted)
    threads = [threading.Thread(target=decode_image, args=(data, SIZE)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_the_header_alone_decides_about_size(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(gradient(), "TIFF")

    def fail(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with (
        pytest.raises(ImageError, match="too many pixels: 56 x 40, max_pixels allows 100 in all"),
        opened_image(data, 100, "max_pixels"),
    ):
        pass
