"""What Hugging Face's data sets say of their columns, in the metadata of an Arrow schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

KEY = b"huggingface"

UNLABELED = -1
"""What a `ClassLabel` has where there is no label."""


def class_names(schema: Any) -> dict[str, list[str]]:
    """The names of the classes, by column, of each feature `ClassLabel`: a value is the position of its name."""
    found = _features(schema, "ClassLabel").items()
    return {name: feature["names"] for name, feature in found if _are_strings(feature.get("names"))}


def image_column(schema: Any) -> str | None:
    """The column that is the feature `Image`; None when there is none, or are several."""
    images = [name for name in _features(schema, "Image") if name in schema.names]
    return images[0] if len(images) == 1 else None


def named(value: int | None, names: Sequence[str]) -> str | None:
    """The name of a class, or None for no label.

    Raises:
        IndexError: there is no name for it.
    """
    if value is None or value == UNLABELED:
        return None
    if value < 0:
        raise IndexError(value)
    return names[value]


def _features(schema: Any, kind: str) -> dict[str, dict[str, Any]]:
    """The features of a kind by column; none where what is said is not understood."""
    try:
        features = json.loads((schema.metadata or {})[KEY])["info"]["features"]
        return {name: feature for name, feature in features.items() if _is_a(feature, kind)}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _is_a(feature: Any, kind: str) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == kind


def _are_strings(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)
