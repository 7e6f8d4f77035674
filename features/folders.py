"""Folders that a command makes: nothing that is there already is written into."""

from __future__ import annotations

from pathlib import Path

from huse.features.atomic import is_own_trace
from huse.features.errors import HuseError


def require_empty(folder: Path, error: type[HuseError]) -> None:
    """Refuses a folder with something in it, or a file of its name.

    Args:
        folder: may be absent, or empty.
        error: what to raise.
    """
    if folder.exists() and not (folder.is_dir() and all(is_own_trace(entry.name) for entry in folder.iterdir())):
        raise error(f"{folder}: is there already; name a new or empty folder")
