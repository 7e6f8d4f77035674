"""The names that people give to the three splits."""

from __future__ import annotations

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "development": "val",
    "test": "test",
    "testing": "test",
}
"""The split of each name that is understood, in any case."""


def split_of(name: str) -> str | None:
    """The split that a name means, empty for no name, or None when it means none."""
    return SPLIT_NAMES.get(name.strip().casefold()) if name else ""
