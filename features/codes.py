"""Codes of unit vectors, a byte or a bit a dimension, that stores of embeddings may keep in their place.

The type of an array says what it is: int8 and uint8 are codes, floats are the vectors themselves. What a code is
decoded to has that same code, so that copies of copies lose nothing more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOATS = ("float16", "float32")
INT8, BINARY = "int8", "binary"
CODES = (INT8, BINARY)

BITS = 8
"""Dimensions in a byte of a binary code."""

LARGEST = 127
"""Of an int8 code: what the largest entry of each vector, whatever its sign, is scaled to."""

_SIGNS = 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32) - 1.0
"""(256, 8) the signs that the bits of a byte stand for."""


def encode(vectors: NDArray[Any], dtype: str) -> NDArray[Any]:
    """(n, D) vectors as a store of a type keeps them; what is encoded already stays as it is.

    Args:
        vectors: (n, D) floats.
        dtype: ``float16`` or ``float32``, which cast; ``int8``, each vector times 127 over its largest entry, rounded,
            so that its length is lost and its direction nearly kept; ``binary``, (n, D / 8) uint8, the first dimension
            in the highest bit of the first byte, a bit 1 where the entry is above 0.
    """
    if are_codes(vectors):
        return vectors
    if dtype == BINARY:
        return np.packbits(vectors > 0, axis=1)
    if dtype == INT8:
        largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0).astype(np.float32)
        return np.rint(vectors / np.where(largest > 0, largest, np.float32(1)) * LARGEST).astype(np.int8)
    return vectors.astype(np.dtype(dtype).newbyteorder("<"), copy=False)


def decode(stored: NDArray[Any]) -> NDArray[np.floating]:
    """Codes (n, ...) as (n, D) float32 unit vectors, zeros of int8 zeros; floats as they are."""
    if stored.dtype == np.uint8:
        dimension = BITS * stored.shape[1]
        entries = _SIGNS * np.float32(max(dimension, 1) ** -0.5)
        return np.asarray(entries[stored].reshape(len(stored), dimension))
    if stored.dtype == np.int8:
        vectors = stored.astype(np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        return vectors / np.where(lengths > 0, lengths, np.float32(1))[:, None]
    return stored


def are_codes(stored: NDArray[Any]) -> bool:
    """Whether an array holds codes, and not vectors."""
    return stored.dtype.kind in "iu"


def stored_type(dtype: str) -> str:
    """The type of the arrays of a store, by what NumPy, HDF5 and Arrow call it."""
    return "uint8" if dtype == BINARY else dtype


def stored_width(dimension: int, dtype: str) -> int:
    """The length of stored vectors of so many dimensions."""
    return dimension // BITS if dtype == BINARY else dimension
