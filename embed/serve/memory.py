"""Memory that large images took, given back."""

from __future__ import annotations

import ctypes
import sys

MANY_PIXELS = 4_000_000
"""From here on a decoded image leaves enough behind to be given back."""


def give_back() -> None:
    """Returns freed memory to the system, where the C library would keep it (glibc)."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
