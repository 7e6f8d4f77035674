"""The bundled data set: 1,911 emoji images with name, keywords, class path and split."""

from __future__ import annotations

import zipfile
from importlib.resources import files
from pathlib import Path

from huse.features.files.atomic import replacing


def unpack_emoji(folder: Path) -> Path:
    """Unpacks the images into `folder`/images and the manifest emoji.csv beside them; returns the manifest.

    Files that are there already with the right size are left alone.
    """
    with zipfile.ZipFile(str(files("huse.demo") / "emoji.zip")) as archive:
        for entry in archive.infolist():
            target = folder / entry.filename
            if target.exists() and target.stat().st_size == entry.file_size:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as temporary:
                temporary.write_bytes(archive.read(entry))
    return folder / "emoji.csv"
