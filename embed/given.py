"""What Python users hand in to be embedded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from huse.features.errors import QueryError


def given_texts(texts: Iterable[Any]) -> Sequence[str]:
    """Texts as they were given.

    Raises:
        QueryError: it is one text, or one of them is something else.
    """
    return _listed(texts, "texts", "str", lambda each: isinstance(each, str))


def given_images(images: Iterable[Any]) -> Sequence[str | Path | bytes]:
    """Files, by path or URL, or the bytes of files, as they were given; errors as `given_texts`."""
    return _listed(images, "images", "str or Path or bytes", _is_image)


def _is_image(given: Any) -> bool:
    return isinstance(given, (str, Path, bytes)) or hasattr(given, "protocol")  # a `UPath`, told without importing it


def _listed(given: Iterable[Any], name: str, wanted: str, fits: Callable[[Any], bool]) -> list[Any]:
    if _is_image(given):
        raise QueryError(f"{name} is one, {str(given)[:40]!r}; give a list of {name}")
    listed = list(given)
    for i, each in enumerate(listed):
        if not fits(each):
            raise QueryError(f"{name} has {each!r} at {i}; give {wanted}")
    return listed
