"""Folders that are filled once for all workers of a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

Shared = Callable[[str, Callable[[Path], object]], Path]
"""The fixture `shared`: a folder by its name and what fills it."""


def filled(root: Path, name: str, fill: Callable[[Path], object]) -> Path:
    """A folder filled by the worker that asks for it first, while the others wait."""
    folder, mark = root / name, root / f"{name}.filled"
    with FileLock(root / f"{name}.lock"):
        if not mark.exists():
            fill(folder)
            mark.touch()
    return folder
