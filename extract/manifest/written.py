"""A manifest as it is written: what tells, without reading its rows, that it gives the same rows as before."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from huse import __version__
from huse.extract.looking import look_at_place
from huse.extract.manifest.file_set import files_of
from huse.extract.manifest.folder import walk_of
from huse.extract.manifest.webdataset import is_tar
from huse.features.errors import ManifestError
from huse.features.files.cache import local_copy
from huse.features.files.place import is_remote
from huse.features.looks import UNKNOWN

READING = 3
"""Another number when the same bytes give other rows."""


def written_digest(path: Path, how: str) -> str:
    """A digest of a manifest as it is written; empty when it cannot be had, which reading tells.

    It is of a table's bytes, of the names below a folder of images, and of how tars look: they hold the images, too.

    Args:
        path: the manifest.
        how: what else the rows depend on, such as the names of the columns.
    """
    digest = hashlib.sha256(f"{__version__} {READING} {how}\n".encode("utf-8", "surrogatepass"))
    try:
        walk = walk_of(path) if path.is_dir() else None
        files = files_of(path, walk)
        if walk is not None and not files:
            for parts in walk.images():
                digest.update("\0".join((*parts, "\n")).encode("utf-8", "surrogatepass"))
        elif not all(_update(digest, file, several=bool(files)) for file in files or [path]):
            return ""
    except (OSError, ManifestError):
        return ""
    return digest.hexdigest()


def _update(digest: Any, file: Path, several: bool) -> bool:
    """Takes in a file; False when it cannot be told whether it is the same."""
    if several:
        digest.update(f"{file}\n".encode("utf-8", "surrogatepass"))
    if is_tar(file) or (several and is_remote(file)):  # reading it all to see that nothing has changed takes too long
        look = look_at_place(file)
        digest.update(f"{look}\n".encode())
        return look != UNKNOWN
    with local_copy(file).open("rb") as opened:
        hashlib.file_digest(opened, lambda: digest)
    return True
