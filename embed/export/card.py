"""`huse export card`: a model folder as a Hugging Face repository expects it, ready to push, or pushed."""

from __future__ import annotations

import shutil
from pathlib import Path

from huse.embed.export.push import Repository
from huse.features.errors import ModelError
from huse.features.files.atomic import replacing_folder
from huse.features.files.cache import local_copy
from huse.features.files.folders import require_new
from huse.features.files.place import local, place, real_path
from huse.train.artifact.hub import model_folder
from huse.train.artifact.model_files import FILES
from huse.train.artifact.model_folder import load_model

LARGE = ("*.keras", "*.npy")
"""What Git keeps outside its history, by Git LFS."""


def export_card(
    model: str | Path,
    out: str | Path,
    name: str | None = None,
    license_id: str | None = None,
    push: str | None = None,
    public: bool = False,
) -> str | None:
    """Copies a model and writes its card, with the figures of metrics.json in the front matter: `huse export card`.

    Args:
        model: a model folder, or ``hf://ORG/NAME``.
        out: a new or empty folder.
        name: title of the card; by default the name of the repository, or of the folder.
        license_id: license identifier; the card says none without it.
        push: ``ORG/NAME`` of the Hugging Face hub to bring the model to, with the token of HF_TOKEN or of
            `hf auth login`; made if it is not there. The files of the model alone go there, in one commit.
        public: whether all may read the repository, if it is made now; one that is there stays as it is.

    Returns:
        The URL of the commit, where it was pushed.

    Raises:
        ModelError: no model there, a damaged one, or `out` is not empty.
        HubError: the repository cannot be made or written to.
        ExtraError: huggingface_hub is not installed.
    """
    source, target = model_folder(model), place(out)
    require_new(target, ModelError, source)
    repository = Repository(push, public) if push is not None else None
    if repository:
        local(target, ModelError, "push (--push)")
        repository.require_usable()
    trained = load_model(source)
    if repository:
        repository.make()
    with replacing_folder(target) as folder:
        for file in (source / name for name in FILES):
            if file.is_file():
                shutil.copy2(local_copy(file), folder / file.name)
        title = name or (push or "").rpartition("/")[2] or real_path(source).name
        (folder / "README.md").write_text(trained.card(title, license_id, push and f"hf://{push}"), encoding="utf-8")
        attributes = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LARGE)
        (folder / ".gitattributes").write_text(attributes, encoding="utf-8")
    return repository.push(target, f"huse model {trained.fingerprint[:12]}") if repository else None
