"""The bundled data set: 1,911 emoji images with name, keywords, class path and split."""

from __future__ import annotations

import zipfile
from importlib.resources import files
from pathlib import Path

from huse.features.errors import ManifestError
from huse.features.files.atomic import replacing

MANIFEST = "emoji.csv"


def unpack_emoji(folder: Path) -> Path:
    """Unpacks the images into `folder`/images and the manifest emoji.csv beside them; returns the manifest.

    Files that are there already with the right size are left alone.

    Raises:
        ManifestError: a file of the same name is there, and the folder is not the demo's.
    """
    with zipfile.ZipFile(str(files("huse.demo") / "emoji.zip")) as archive:
        _require_own(folder, archive)
        for entry in archive.infolist():
            target = folder / entry.filename
            if target.exists() and target.stat().st_size == entry.file_size:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as temporary:
                temporary.write_bytes(archive.read(entry))
    return folder / MANIFEST


def _require_own(folder: Path, archive: zipfile.ZipFile) -> None:
    """Refuses to write over files of others: those of a folder whose manifest is not the demo's."""
    manifest = folder / MANIFEST
    if manifest.is_file() and manifest.read_bytes() == archive.read(MANIFEST):
        return
    for entry in archive.infolist():
        target = folder / entry.filename
        if target.is_file() and target.read_bytes() != archive.read(entry):
            raise ManifestError(f"{target}: is there already, and is not of huse; name another folder")
