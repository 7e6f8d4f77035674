"""Strings from elsewhere as huse keeps them."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

MISSING = frozenset({"nan", "NaN", "<NA>", "NaT", "None", "null", "NULL", "#N/A", "\\N"})
"""What programs write for a value that is not there."""

WHOLE = re.compile(r"[+-]?\d+\.0")
"""A whole number as it is written when its column is of floats."""

SURROGATES = re.compile("[\ud800-\udfff]")
"""What no UTF-8 can hold: half a pair of JSON's, or a byte that was not UTF-8."""

CONTROL_AS_SPACE = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ")
"""Unicode's category Cc."""


def clean_text(text: str) -> str:
    """Normalizes a string: NFC, control characters and runs of white space as one space, ends stripped.

    Half a pair of surrogates, or a byte that was not UTF-8, becomes U+FFFD. An empty result means that there is none.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())  # the same, three times as fast
    text = SURROGATES.sub("\ufffd", text)
    return " ".join(unicodedata.normalize("NFC", text).translate(CONTROL_AS_SPACE).split())


def clean_value(value: Any) -> str:
    """A value of an array as a clean string: nothing for None, NaN and pandas' NA, ``101`` for 101.0."""
    if isinstance(value, str | bytes):
        return clean_text(value if isinstance(value, str) else value.decode("utf-8", "replace"))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    written = str(value)
    return "" if written in MISSING else clean_text(written)
