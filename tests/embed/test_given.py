"""What Python users hand in: one thing is no list of it, and a place by URL is a file like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
from upath import UPath

from huse.embed.given import given_images, given_texts
from huse.features.errors import QueryError
from huse.features.files.place import place


def test_images_lie_anywhere() -> None:
    images = ["a.png", Path("b.png"), b"bytes", "memory://c.png", place("memory://d/e.png"), UPath("memory://d/f.png")]
    assert given_images(iter(images)) == images


@pytest.mark.parametrize(
    "one", ["a.png", b"bytes", Path("b.png"), place("memory://d/e.png"), UPath("memory://d/f.png")]
)
def test_one_is_no_list(one: object) -> None:
    with pytest.raises(QueryError, match=r"images is one, .*; give a list of images"):
        given_images(one)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match=r"texts is one, .*; give a list of texts"):
        given_texts(one)  # type: ignore[arg-type]
