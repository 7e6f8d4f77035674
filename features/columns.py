"""Rows as the columns of a shard: names, types and shapes, and strings as one blob with the end of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.rows import DIGEST_BYTES, Failure, Rows

STRINGS = ("key", "label", "split", "uri", "caption")
FAILURE_STRINGS = ("failure_key", "failure_stage", "failure_reason")
VECTORS = ("image", "text")
OPTIONAL = ("prediction", "probability")
"""Of embeddings alone."""

ENDS = "_ends"
"""Suffix of the column that tells where each string of another ends."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Layout:
    """What the array of a column must be.

    Attributes:
        dtypes: the types it may have.
        rows: ``rows``, ``failures`` or ``bytes``: what its first axis counts.
        width: length of its second axis; 0 for any, None for an array without one.
    """

    dtypes: tuple[str, ...]
    rows: str = "rows"
    width: int | None = None


_ENDS, _BYTES, _MASK = ("<i8",), ("|u1",), ("|b1",)

LAYOUTS: Mapping[str, Layout] = {
    **{name: Layout(_BYTES, "bytes") for name in (*STRINGS, *FAILURE_STRINGS, "prediction")},
    **{name + ENDS: Layout(_ENDS) for name in (*STRINGS, "prediction")},
    **{name + ENDS: Layout(_ENDS, "failures") for name in FAILURE_STRINGS},
    **{name: Layout(("<f2", "<f4"), width=0) for name in VECTORS},
    **{f"has_{name}": Layout(_MASK) for name in VECTORS},
    **{f"{name}_digest": Layout(_BYTES, width=DIGEST_BYTES) for name in VECTORS},
    "probability": Layout(("<f4",)),
}
"""Every column that a shard may have."""


def arrays_of(rows: Rows, dtype: np.dtype[Any]) -> Arrays:
    """The columns of some rows as they are stored, vectors in `dtype`."""
    arrays: Arrays = {}
    for name, column in rows.columns().items():
        if column.dtype == object:
            arrays |= _blob(name, column.tolist())
        elif name in VECTORS:
            with np.errstate(over="ignore"):
                arrays[name] = column.astype(dtype)
        else:
            arrays[name] = column
    failures = zip(*((f.key, f.stage, f.reason) for f in rows.failures), strict=True) if rows.failures else ((),) * 3
    for name, values in zip(FAILURE_STRINGS, failures, strict=True):
        arrays |= _blob(name, list(values))
    return arrays


def rows_of(columns: Arrays) -> Rows:
    """The rows of a shard's columns, strings decoded, as `strings_of` gives them."""
    failures = [Failure(*values) for values in zip(*(columns[name] for name in FAILURE_STRINGS), strict=True)]
    return Rows(**{n: c for n, c in columns.items() if n not in FAILURE_STRINGS}, failures=failures)


def is_string(name: str) -> bool:
    """Whether a column holds strings."""
    return name + ENDS in LAYOUTS


def strings_of(blob: NDArray[np.uint8], ends: NDArray[np.int64], start: int = 0) -> NDArray[np.object_]:
    """(n,) strings of a blob of UTF-8.

    Args:
        blob: the bytes of the n strings.
        ends: (n,) where each ends, counted as `start` is.
        start: where the first begins.

    Raises:
        ValueError: the ends are not those of this blob, or it is not UTF-8.
    """
    places = np.concatenate([[start], ends]) - start
    if places[-1] != len(blob) or (np.diff(places) < 0).any():
        raise ValueError("strings do not end where they should")
    data = blob.tobytes()
    strings = np.empty(len(ends), dtype=object)
    if data.isascii():
        text = data.decode("ascii")
        strings[:] = [text[a:b] for a, b in zip(places[:-1].tolist(), places[1:].tolist(), strict=True)]
    else:
        strings[:] = [data[a:b].decode() for a, b in zip(places[:-1].tolist(), places[1:].tolist(), strict=True)]
    return strings


def _blob(name: str, strings: list[str]) -> Arrays:
    encoded = [value.encode() for value in strings]
    ends = np.cumsum([len(value) for value in encoded], dtype=np.int64)
    return {name: np.frombuffer(b"".join(encoded), np.uint8), name + ENDS: ends.reshape(len(encoded))}
