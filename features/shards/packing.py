"""Columns of strings as one run of UTF-8 bytes and the place where each string ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Strings = NDArray[np.object_]
Ends = NDArray[np.uint64]


def pack(columns: Sequence[Strings]) -> tuple[NDArray[np.uint8], Ends]:
    """The bytes of all strings, one column after another, and where each ends.

    Half a surrogate pair, which UTF-8 has no bytes for, becomes U+FFFD.
    """
    encoded = [_encode(value) for column in columns for value in column]
    lengths = np.fromiter(map(len, encoded), np.uint64, len(encoded))
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum(lengths, dtype=np.uint64)


def unpack(data: bytes, ends: Ends) -> Strings:
    """The strings of a column.

    Args:
        data: their bytes.
        ends: (n,) where each ends in `data`.

    Raises:
        ValueError: the ends do not ascend to the length of the data, or the bytes are not UTF-8.
    """
    stops = ends.tolist()
    starts = [0, *stops][:-1]
    if len(data) != (stops[-1] if stops else 0) or stops != sorted(stops):
        raise ValueError("ends of strings do not fit their bytes")
    strings = np.empty(len(stops), dtype=object)
    if data.isascii():
        text = data.decode("ascii")
        strings[:] = [text[start:stop] for start, stop in zip(starts, stops, strict=True)]
    else:
        strings[:] = [data[start:stop].decode() for start, stop in zip(starts, stops, strict=True)]
    return strings


def _encode(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value).encode()
