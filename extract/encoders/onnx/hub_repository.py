"""`hf://ORG/NAME@REVISION`: a model of the Hugging Face hub, of which the files that are needed are downloaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from huse.features.errors import EncoderError
from huse.features.extras import require

SCHEME = "hf://"
WRITTEN = re.compile(r"hf://(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/@#]+))?(?:/(?P<file>[^#]+\.onnx))?/?")


COMMIT = re.compile("[0-9a-f]{40}")


@dataclass
class HubRepository:
    """A model of the hub; from its first file on, all are of one commit.

    Attributes:
        id: ``ORG/NAME``.
        revision: a branch, tag or commit; empty for the newest.
        file: the graph, when it is named.
        problem: why nobody could be asked for a file that is not in the cache; empty when nothing was.
    """

    id: str
    revision: str = ""
    file: str = ""
    problem: str = ""
    _found: bool = False

    @classmethod
    def of(cls, written: str) -> HubRepository:
        """Of a URL.

        Raises:
            EncoderError: it is none of a model.
        """
        found = WRITTEN.fullmatch(written)
        if found is None:
            raise EncoderError(
                f"onnx:{written}: write hf://ORG/NAME, hf://ORG/NAME@REVISION, or either with /FILE.onnx"
            )
        return cls(found["id"], found["revision"] or "", found["file"] or "")

    @property
    def place(self) -> str:
        """What names the model again, with its revision."""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{SCHEME}{self.id}{revision}{'/' if self.file else ''}{self.file}"

    @property
    def called(self) -> str:
        """The name of the model."""
        return self.id.partition("/")[2]

    def find(self, name: str) -> Path | None:
        """A file by its path, from the hub or from the cache; None when there is none.

        Raises:
            EncoderError: no such model or revision, or it cannot be had.
            ExtraError: huggingface_hub is not installed.
        """
        hub = require("huggingface_hub", "onnx", f"onnx:{self.place}")
        errors = require("huggingface_hub.errors", "onnx", f"onnx:{self.place}")
        try:
            if COMMIT.fullmatch(self.revision):
                known = hub.try_to_load_from_cache(self.id, name, revision=self.revision)
                if known is not None:  # where it is, or that there is none
                    return self._take(name, known) if isinstance(known, str) else None
            return self._take(name, hub.hf_hub_download(self.id, name, revision=self.revision or None))
        except errors.LocalEntryNotFoundError as error:  # not here, and nobody could be asked
            if self._found and not isinstance(error.__cause__, errors.OfflineModeIsEnabled):
                raise self._refused(error) from error
            self.problem = _line(error)
        except errors.EntryNotFoundError:
            self.problem = ""
        except Exception as error:  # what its versions and their HTTP libraries raise differs
            raise self._refused(error) from error
        return None

    def _take(self, name: str, found: str) -> Path:
        path = Path(found)
        self.revision, self._found = path.parts[-1 - len(PurePosixPath(name).parts)], True
        return path

    def _refused(self, error: Exception) -> EncoderError:
        return EncoderError(
            f"onnx:{self.place}: cannot be had ({_line(error)}); check its name, or name a folder, onnx:FOLDER"
        )


def _line(error: Exception) -> str:
    return next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)
