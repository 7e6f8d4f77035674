"""What Python users hand in to be embedded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from huse.features.errors import QueryError


def given_texts(texts: Iterable[Any]) -> Sequence[str]:
    """Texts as they were given.

    Raises:
        QueryError: it is one text, or one of them is something else.
    """
    return _listed(texts, (str,), "texts")


def given_images(images: Iterable[Any]) -> Sequence[str | Path | bytes]:
    """Files, or the bytes of files, as they were given; errors as `given_texts`."""
    return _listed(images, (str, Path, bytes), "images")


def _listed(given: Iterable[Any], kinds: tuple[type, ...], name: str) -> list[Any]:
    if isinstance(given, (str, bytes, Path)):
        raise QueryError(f"{name} is one, {str(given)[:40]!r}; give a list of {name}")
    listed = list(given)
    for i, each in enumerate(listed):
        if not isinstance(each, kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise QueryError(f"{name} has {each!r} at {i}; give {wanted}")
    return listed
