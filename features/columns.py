"""The columns of a shard: their names, and the types and shapes that they must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.codes import CODES, FLOATS, are_codes, decode, stored_type, stored_width
from huse.features.errors import ShardError
from huse.features.modality import DIGEST_BYTES, MODALITIES, Modality, Pair

STRINGS = ("key", "label", "split", "uri", "caption")
FAILURE_STRINGS = ("failure_key", "failure_stage", "failure_reason")
VECTORS = MODALITIES
PRESENT = Pair(image="has_image", text="has_text")
DIGESTS = Pair(image="image_digest", text="text_digest")
"""The three columns of a modality: its vectors have its name."""

PREDICTIONS = ("prediction", "probability")
"""Of embeddings alone."""

REPEATED = ("label", "split", "prediction")
"""Strings that many rows have in common, kept once in memory."""

REBUILD = "run the command that made it again"
"""What to do about a damaged shard."""

FIXED: Mapping[str, tuple[tuple[int, ...], str]] = {
    **{name: ((), "|b1") for _, name in PRESENT.items()},
    **{name: ((DIGEST_BYTES,), "|u1") for _, name in DIGESTS.items()},
}
"""Shape of a row, and type, of the columns that are neither strings nor vectors and that every shard has."""

ALL_STRINGS = frozenset((*STRINGS, *FAILURE_STRINGS, "prediction"))
REQUIRED = frozenset((*STRINGS, *FAILURE_STRINGS, *VECTORS, *FIXED))

Arrays = dict[str, NDArray[Any]]

VECTOR_TYPES = frozenset(np.dtype(stored_type(name)).newbyteorder("<").str for name in (*FLOATS, *CODES))

_EXPONENT = np.uint16(0x7C00)
"""The bits of a float16 that are all set in what is no number."""


@dataclass(frozen=True)
class Dimensions:
    """What the vectors of a store's shards are; None where anything will do.

    Attributes:
        widths: length of the vectors, 0 for none.
        dtype: of a store, see `StoreInfo`.
    """

    widths: Pair[int] | None = None
    dtype: str | None = None

    def length_of(self, modality: str) -> int | None:
        """Length of what is stored of a vector of a modality."""
        return None if self.widths is None else stored_width(self.widths.of(modality), self.dtype or FLOATS[0])


def columns_of(both: Pair[Modality]) -> Arrays:
    """The columns of images and texts, in the order in which files and exports have them."""
    return {
        **dict(both.map(lambda its: its.vectors).items()),
        **{PRESENT.of(modality): its.present for modality, its in both.items()},
        **{DIGESTS.of(modality): its.digest for modality, its in both.items()},
    }


def modalities_of(columns: Mapping[str, NDArray[Any]]) -> Pair[Modality]:
    """Images and texts of their columns."""
    return Pair.by_name(lambda m: Modality(columns[m], columns[PRESENT.of(m)], columns[DIGESTS.of(m)]))


def decoded(columns: Mapping[str, NDArray[Any]]) -> Arrays:
    """Columns with unit vectors in place of codes; zeros where a mask beside them says that there is no vector."""
    found = dict(columns)
    for name in VECTORS:
        if name in columns and are_codes(columns[name]):
            found[name] = decode(columns[name]) * columns.get(PRESENT.of(name), np.ones(1, bool))[:, None]
    return found


def require_column(
    path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], rows: int, wanted: Dimensions
) -> None:
    """Refuses a column that is no string column and not of the shape and type that it must have.

    Raises:
        ShardError: it names both.
    """
    if name in VECTORS:
        fits = len(shape) == 2 and shape[0] == rows and dtype.str in VECTOR_TYPES
        length = wanted.length_of(name)
        if fits and length is not None and shape[1] != length:
            raise ShardError(f"{path}: {name} vectors of length {shape[1]}, not {length}; {REBUILD}")
        if fits and wanted.dtype is not None and shape[1] and dtype != stored_type(wanted.dtype):
            raise ShardError(f"{path}: {name} vectors of {dtype}, not {wanted.dtype}; {REBUILD}")
    else:
        width, kind = ((), "<f4") if name == "probability" else FIXED[name]
        fits = shape == (rows, *width) and dtype.str == kind
    if not fits:
        raise ShardError(f"{path}: {name} is {dtype} of shape {shape} for {rows} rows; {REBUILD}")


def is_finite(vectors: NDArray[Any]) -> bool:
    """Whether all values of vectors are numbers, as those of codes are."""
    if vectors.dtype.kind != "f":
        return True
    if vectors.dtype.itemsize == 2:  # by bits, which is several times faster than isfinite
        return bool((vectors.view(np.uint16) & _EXPONENT).max(initial=0) < _EXPONENT)
    return bool(np.isfinite(vectors).all())


def require_sound(path: Path, name: str, values: NDArray[Any]) -> None:
    """Refuses vectors that are not finite, and masks that are neither true nor false, whatever their digest says.

    Raises:
        ShardError: it names the column.
    """
    if name in VECTORS:
        if not is_finite(values):
            raise ShardError(f"{path}: {name} holds vectors that are not finite; {REBUILD}")
    elif values.dtype == bool and values.tobytes().strip(b"\0\1"):
        raise ShardError(f"{path}: {name} is no mask; {REBUILD}")
