"""What TensorBoard shows of a fit: losses and figures as they come, and the space in the Projector at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from huse.features.errors import FitError
from huse.features.extras import require
from huse.features.files.folders import require_place
from huse.train.data.batches import TrainingRows
from huse.train.loop.projector_files import require_projector, write_projector
from huse.train.network.forward import Outputs

SPACE = "search"
"""Run that the space is shown with."""


class Board:
    """One log folder with a run for each phase of a fit, ``search`` and ``refit``.

    Args:
        folder: given to `tensorboard --logdir`.

    Raises:
        ExtraError: TensorBoard is not installed.
        FitError: the folder cannot be written.
        QueryError: it holds a Projector's files that are not of huse.
    """

    def __init__(self, folder: Path) -> None:
        require("tensorboard", "tensorboard", "tensorboard (--tensorboard)")
        require_place(folder, FitError)
        require_projector(folder / SPACE)
        self.folder = folder
        self._writers: dict[str, Any] = {}

    def epoch(self, entry: Mapping[str, Any]) -> None:
        """Shows the numbers of one entry of the history at its epoch."""
        phase = entry["phase"]
        if phase not in self._writers:
            self._writers[phase] = tf.summary.create_file_writer(str(self.folder / phase))
        with self._writers[phase].as_default(step=entry["epoch"]):
            for name, value in entry.items():
                if name not in ("phase", "epoch") and value is not None:
                    tf.summary.scalar(name, value)
        self._writers[phase].flush()

    def space(self, rows: TrainingRows, outputs: Outputs, labels: NDArray[np.object_]) -> None:
        """Puts the embeddings of some rows into the Projector.

        Args:
            rows: n rows.
            outputs: of the network for them.
            labels: (n,) their label paths.
        """
        there = {modality: rows.present.of(modality) for modality in outputs.given()}
        vectors = np.concatenate([output.embedding[there[m]] for m, output in outputs.given().items()])
        shown = {
            "class": [str(label) for has in there.values() for label in labels[has]],
            "modality": [modality for modality, has in there.items() for _ in range(has.sum())],
        }
        write_projector(self.folder / SPACE, vectors, shown)
