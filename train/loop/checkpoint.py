"""The state of an unfinished fit on disk, so that a killed one goes on as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import FitError
from huse.features.files.atomic import replacing
from huse.features.files.cache import local_copy
from huse.train.config import FitConfig
from huse.train.data.stream import StreamedRows
from huse.train.data.task import Task

Arrays = dict[str, NDArray[Any]]

SECONDS_BETWEEN = 10.0
"""A checkpoint is written at the end of an epoch, but by default not more often than this."""


def numbered(prefix: str, values: Iterable[Any]) -> Arrays:
    """Arrays as a checkpoint holds them: prefix/0, prefix/1 and so on."""
    return {f"{prefix}/{i}": np.asarray(value) for i, value in enumerate(values)}


def in_order(arrays: Mapping[str, NDArray[Any]], prefix: str, shapes: list[tuple[int, ...]]) -> list[NDArray[Any]]:
    """What `numbered` put into a checkpoint, for variables of these shapes.

    Raises:
        FitError: the shapes are others, so the towers were those of another version.
    """
    found = [arrays[f"{prefix}/{i}"] for i in range(sum(name.startswith(f"{prefix}/") for name in arrays))]
    if [array.shape for array in found] != shapes:
        raise FitError(
            "the checkpoint of this fit holds weights of other shapes, as another version of huse makes them; "
            "fit again without resume (--resume)"
        )
    return found


def identity(task: Task, config: FitConfig) -> str:
    """SHA-256 of everything that decides a fit: hyperparameters, rows, labels, splits, semantic graph, and windows."""
    values = config.to_dict()
    if config.precision == "float32":
        del values["precision"]  # as before there was a choice
    # what memory there is decides whether rows are streamed, and in which windows, and so their order
    window = str(task.data.window) if isinstance(task.data, StreamedRows) else ""
    return hashlib.sha256((json.dumps(values, sort_keys=True) + task.digest + window).encode()).hexdigest()


class Checkpoint:
    """One file that holds the latest state of one fit.

    Args:
        path: the file.
        owner: `identity` of the fit; a checkpoint of another is refused.
        every: seconds from one state to the next that is written.
    """

    def __init__(self, path: Path, owner: str, every: float = SECONDS_BETWEEN) -> None:
        self.path = path
        self.owner = owner
        self.every = every
        self._written = time.monotonic()

    def due(self) -> bool:
        """True when it is time to write again."""
        return time.monotonic() - self._written >= self.every

    def save(self, arrays: Arrays, values: dict[str, Any]) -> None:
        """Replaces the file by this state in one step."""
        note = json.dumps({**values, "owner": self.owner})
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            np.savez(file, note=np.frombuffer(note.encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        self._written = time.monotonic()

    def load(self) -> tuple[Arrays, dict[str, Any]] | None:
        """The saved state, or None when there is no file.

        Raises:
            FitError: the file is damaged, or belongs to a fit with other data or hyperparameters.
        """
        try:
            with np.load(local_copy(self.path), allow_pickle=False) as file:
                arrays = dict(file)
            values: dict[str, Any] = json.loads(arrays.pop("note").tobytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise FitError(f"{self.path}: damaged checkpoint ({error}); remove it and fit again") from error
        if values.pop("owner") != self.owner:
            raise FitError(
                f"{self.path}: belongs to a fit with other rows or options; give the same ones, or remove it"
            )
        return arrays, values

    def remove(self) -> None:
        """Deletes the file; the fit is done."""
        self.path.unlink(missing_ok=True)
