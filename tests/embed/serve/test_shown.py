"""What is sent as an image: by its bytes, whatever its name, and nothing that is none."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from huse.embed.serve.shown import ShownImages, location
from huse.extract.images.decoding import ImageError


def saved(kind: str, side: tuple[int, int] = (6, 4), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(side, 40).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_what_browsers_show_is_sent_as_it_is(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "a.html"
    file.write_bytes(saved(kind))
    shown = ShownImages().show(str(file))
    assert (shown.media_type, shown.data) == (f"image/{kind.lower()}", file.read_bytes())


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "TGA", "JPEG2000", "ICO"])
def test_what_browsers_do_not_show_is_sent_as_jpeg(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(saved(kind))
    images = ShownImages()
    for _ in range(2):
        shown = images.show(str(file))
        assert shown.media_type == "image/jpeg"
        with Image.open(io.BytesIO(shown.data)) as image:
            assert (image.format, image.size) == ("JPEG", (6, 4))


def test_a_png_that_lies_on_its_side_is_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.png").write_bytes(saved("PNG", exif=exif))
    (tmp_path / "a.jpg").write_bytes(saved("JPEG", exif=exif))
    with Image.open(io.BytesIO(ShownImages().show(str(tmp_path / "a.png")).data)) as image:
        assert image.size == (4, 6)
    assert ShownImages().show(str(tmp_path / "a.jpg")).data == (tmp_path / "a.jpg").read_bytes()


def test_a_huge_image_is_sent_reduced_and_one_past_the_limit_not_at_all(tmp_path: Path) -> None:
    Image.new("1", (8000, 6000)).save(tmp_path / "a.png")
    shown = ShownImages().show(str(tmp_path / "a.png"))
    with Image.open(io.BytesIO(shown.data)) as image:
        assert image.size == (1600, 1200)
    with pytest.raises(ImageError, match="too many pixels"):
        ShownImages(1_000_000).show(str(tmp_path / "a.png"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"root:x:0:0:root:/root:/bin/bash\n",
        b"<html><script>alert(1)</script></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b"\x89PNG\r\n\x1a\n<html><script>alert(1)</script>",
        b"GIF89a/*<script>alert(1)</script>*/=1",
        b"%PDF-1.4",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        saved("PNG", (60, 60))[:200],
        saved("WEBP", (60, 60))[:100],
    ],
)
def test_what_does_not_decode_is_not_sent(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError):
        ShownImages().show(str(tmp_path / "a.png"))


def test_a_jpeg_that_was_cut_off_is_sent_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = saved("JPEG", (200, 200))
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    assert ShownImages().show(str(tmp_path / "a.jpg")).media_type == "image/jpeg"


def test_where_images_are(tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(b"x")
    there = str(tmp_path / "a b.png")
    assert location("a b.png", tmp_path) == location(there, Path("elsewhere")) == there
    assert location(f"file://{there}", tmp_path) == location(f"file://{there.replace(' ', '%20')}", tmp_path) == there
    assert location("a" * 5000, tmp_path) is None
    for uri in ("https://shop.example/a.jpg?x=1", "http://[::1]/a", "s3://bucket/a.jpg"):
        assert location(uri, tmp_path) == uri
    for uri in (
        "",
        ".",
        "absent.png",
        "\0",
        "javascript://x/%0aalert(1)",
        "data://text/html,x",
        "ftp://host/a.png",
        "memory://a.png",
        "filecache::http://10.0.0.1/",
        "simplecache::file:///etc/hostname",
        "https://",
        "https:///a.png",
        "https://user:secret@host/a.png",
        "https://host/a\r\nSet-Cookie: a=b",
        "https://host\\@evil.example/",
        "https://[broken/",
        "https://host/\ud800",
    ):
        assert location(uri, tmp_path) is None, uri


def test_images_of_random_bytes_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("PNG", "GIF", "BMP", "WEBP", "TIFF"):
        whole = saved(kind, (30, 30))
        for _ in range(20):
            data = bytearray(whole)
            for at in rng.integers(0, len(data), 5):
                data[at] = rng.integers(256)
            (tmp_path / "a").write_bytes(data)
            try:
                shown = ShownImages().show(str(tmp_path / "a"))
            except ImageError:
                continue
            assert shown.media_type.startswith("image/")
