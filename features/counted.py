"""Numbers before their nouns."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number before its noun, such as ``1 row`` or ``2 rows``; a plural that is not given has an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
