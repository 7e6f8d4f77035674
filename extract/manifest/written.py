"""A manifest as it is written: what tells, without reading its rows, that it gives the same rows as before."""

from __future__ import annotations

import hashlib
from pathlib import Path

from huse import __version__
from huse.extract.manifest.folder import image_parts
from huse.features.errors import ManifestError
from huse.features.files.cache import local_copy

READING = 1
"""Another number when the same bytes give other rows."""


def written_digest(path: Path, how: str) -> str:
    """A digest of a file's bytes, or of the names below a folder; empty when they cannot be read, which reading tells.

    Args:
        path: the manifest.
        how: what else the rows depend on, such as the names of the columns.
    """
    digest = hashlib.sha256(f"{__version__} {READING} {how}\n".encode("utf-8", "surrogatepass"))
    try:
        if path.is_dir():
            for parts in image_parts(path):
                digest.update("\0".join((*parts, "\n")).encode("utf-8", "surrogatepass"))
        else:
            with local_copy(path).open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
    except (OSError, ManifestError):
        return ""
    return digest.hexdigest()
