"""What a command may write over: nothing that it reads, and no file that huse did not make."""

from __future__ import annotations

from pathlib import Path

from huse.features.errors import HuseError
from huse.features.files.folders import require_apart, require_place

MARK = "made by huse"
"""What every single file that huse writes for other programs says somewhere at its start or end."""

LOOKED_AT = 1 << 16
"""Bytes at the start and at the end of a file in which the mark is looked for."""


def require_output(out: Path, error: type[HuseError], *inputs: str | Path) -> None:
    """Refuses, before any work, a file that is an input, lies in one, has no place, or is not of huse.

    Args:
        out: file to be written.
        error: what to raise.
        inputs: files and folders that are read.
    """
    require_apart(out, error, *inputs)
    if out.is_dir():
        raise error(f"{out}: is a folder; name a file")
    if out.exists() and not is_marked(out):
        raise error(f"{out}: is there already, and is not of huse; name another file")
    require_place(out.parent, error, out)


def is_marked(path: Path) -> bool:
    """Whether a file says that huse made it."""
    with path.open("rb") as file:
        start = file.read(LOOKED_AT)
        file.seek(max(0, path.stat().st_size - LOOKED_AT))
        return MARK.encode() in start or MARK.encode() in file.read()
