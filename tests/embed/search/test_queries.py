"""What a query may be: words that the encoder knows, and images within the limit of whoever asks."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import huse
from huse.embed.draw.thumbnails import Thumbnails
from huse.embed.model import Model
from huse.extract.encoders.tfidf import TfidfEncoder
from huse.features.errors import QueryError
from huse.train.artifact.model_folder import load_model


def image(size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.linear_gradient("L").resize(size).convert("RGB").save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def test_the_limit_is_that_of_whoever_asks(few_model: Path) -> None:
    model = huse.load(few_model, max_pixels=1_000)
    with pytest.raises(QueryError, match=r"image bytes: too many pixels: 40 x 30, max_pixels \(--max-pixels\) allows"):
        model.embed_images([image()])
    assert huse.load(few_model).embed_images([image()]).shape == (1, 64)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("x"), struct.error("x")])
def test_an_image_that_gives_no_pixels_is_a_wrong_query(
    error: Exception, few_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = huse.load(few_model)
    data = image()
    model.embed_images([data])

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Image.Image, "resize", fail)
    with pytest.raises(QueryError, match="image bytes: "):
        model.embed_images([data])


def test_words_that_the_encoder_does_not_know_are_no_query(few_model: Path) -> None:
    tfidf = TfidfEncoder("512")
    tfidf.fit(["a red fox", "the sea"])
    model = Model(replace(load_model(few_model), text=tfidf.spec), text_encoder=tfidf)
    assert model.embed_texts(["red sea"]).shape == (1, 64)
    with pytest.raises(QueryError, match=r"text '\u72d0\u72f8': no known word: tfidf:512 .*tfidf:512:char"):
        model.embed_texts(["red sea", "\u72d0\u72f8"])


def test_images_that_are_shown_are_turned_as_encoders_see_them(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(image())
    small = Thumbnails(tmp_path).image("a.png", 20)
    assert small is not None
    assert small.size == (15, 20)
    shades = np.asarray(small, int)[..., 0]
    assert (np.diff(shades.mean(axis=0)) < 0).all()  # what was at the bottom, and light, is at the left
    assert Thumbnails(tmp_path).data_uri("a.png", 20).startswith("data:image/jpeg;base64,")
    assert Thumbnails(tmp_path).image("absent.png") is None
