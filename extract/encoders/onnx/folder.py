"""A model in a folder of this machine, as `HubRepository` is one of the hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huse.features.errors import EncoderError
from huse.features.files.place import is_url, place, real_path


@dataclass(frozen=True)
class Folder:
    """A folder with a model, or one graph in it.

    Attributes:
        root: the folder; of a graph that is named itself, the one above its own.
        place: what names the model again.
        called: the name of the model.
        file: the graph's path below `root`, when it is named.
        problem: none ever.
    """

    root: Path
    place: str
    called: str
    file: str = ""
    problem: str = ""

    @classmethod
    def of(cls, written: str) -> Folder:
        """Of a path.

        Raises:
            EncoderError: nothing is there, or it is a URL.
        """
        if is_url(written):
            raise EncoderError(
                f"onnx:{written}: write hf://ORG/NAME for a model of the Hugging Face hub, or name a folder"
            )
        path = place(written)
        if not written or not path.exists():
            raise EncoderError(
                f"onnx:{written}: no such folder; name one with model.onnx, the file itself, or hf://ORG/NAME"
            )
        if path.is_dir():
            root = real_path(path)
            return cls(root, f"{root}{'/' if '+' in root.name else ''}", root.name)
        folder = real_path(path.parent)  # a link to a file may lead away from what lies beside it
        called = folder.parent.name if folder.name == "onnx" else folder.name
        return cls(folder.parent, str(folder / path.name), called, f"{folder.name}/{path.name}")

    def find(self, name: str) -> Path | None:
        """A file by its path; None when there is none."""
        path = self.root / name
        return path if path.is_file() else None
