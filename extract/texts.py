"""Texts as the encoders see them."""

from __future__ import annotations

import unicodedata

PREPROCESSING = "NFC, control characters and runs of white space as one space, ends stripped"
"""`clean_text` in words, for the encoders' specs."""


def clean_text(text: str) -> str:
    """Normalizes a text: NFC, control characters and runs of white space as one space, ends stripped.

    An empty result means that the row has no text.
    """
    normal = unicodedata.normalize("NFC", text)
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in normal).split())
