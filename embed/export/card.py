"""`huse export card`: a model folder as a Hugging Face repository expects it, ready to push."""

from __future__ import annotations

import shutil
from pathlib import Path

from huse.features.errors import ModelError
from huse.features.files.atomic import replacing_folder
from huse.features.files.cache import local_copy
from huse.features.files.folders import require_new
from huse.features.files.place import place, real_path
from huse.train.artifact.model_folder import load_model

LARGE = ("*.keras", "*.npy")
"""What Git keeps outside its history, by Git LFS."""


def export_card(model: str | Path, out: str | Path, name: str | None = None, license_id: str | None = None) -> None:
    """Copies a model and writes its card, with the figures of metrics.json in the front matter.

    Args:
        model: a model folder.
        out: a new or empty folder.
        name: title of the card; by default the folder's name.
        license_id: license identifier; the card says none without it.

    Raises:
        ModelError: no model there, a damaged one, or `out` is not empty.
    """
    source, target = place(model), place(out)
    require_new(target, ModelError, source)
    trained = load_model(source)
    with replacing_folder(target) as folder:
        for file in source.iterdir():
            if file.is_file():
                shutil.copy2(local_copy(file), folder / file.name)
        (folder / "README.md").write_text(trained.card(name or real_path(source).name, license_id), encoding="utf-8")
        attributes = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LARGE)
        (folder / ".gitattributes").write_text(attributes, encoding="utf-8")
