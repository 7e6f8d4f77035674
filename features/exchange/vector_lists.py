"""Vectors as a column of Arrow's lists of one length: codes as they are, floats as float32, which all readers know."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.codes import CODES, are_codes, stored_type, stored_width


def vector_type(arrow: Any, dimension: int, dtype: str) -> Any:
    """The type of a column of vectors of so many dimensions, of a store of a type."""
    values = stored_type(dtype) if dtype in CODES else "float32"
    return arrow.list_(arrow.type_for_alias(values), stored_width(dimension, dtype))


def vector_lists(arrow: Any, stored: NDArray[Any]) -> Any:
    """A column of vectors (n, D), or of their codes."""
    values = stored if are_codes(stored) else stored.astype(np.float32, copy=False)
    return arrow.FixedSizeListArray.from_arrays(arrow.array(values.ravel()), values.shape[1])
