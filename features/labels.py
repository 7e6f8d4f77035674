"""Labels as class paths: parts from the widest to the narrowest, with ``/`` between them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from huse.features.companions import SLASH_IN_NAME
from huse.features.strings import MISSING, WHOLE, clean_text, clean_value

TAXONOMY, NUMBER = ">", re.compile(r"\s*[0-9]+ - (?=\S)")
"""What parts the levels of Google's product taxonomy, and the number that may stand before the first."""


@lru_cache(maxsize=1 << 16)
def label_path(label: str, separator: str = "/") -> str:
    """The class path of a label: its parts normalized as texts are, empty ones left out.

    Args:
        label: as written.
        separator: what stands between the levels; empty when a label is one name. A ``/`` within a part of labels
            that are separated otherwise becomes `SLASH_IN_NAME`, so that it separates nothing. With ``>`` the number
            of Google's product taxonomy is left out, which would make a root of each class.
    """
    if separator.strip() == TAXONOMY:
        label = NUMBER.sub("", label, count=1) if NUMBER.match(label) else label
    parts = f" {label} ".split(separator) if separator else [label]
    cleaned = filter(None, map(clean_text, parts))
    return "/".join(part.replace("/", SLASH_IN_NAME) for part in cleaned)


def clean_label(value: Any, separator: str = "/") -> str:
    """A label of an array as its class path: nothing for a word for nothing, ``101`` for 101.0; see `label_path`."""
    label = clean_value(value)
    if label in MISSING:
        return ""
    return label_path(label[:-2] if WHOLE.fullmatch(label) else label, separator)
