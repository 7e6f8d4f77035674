"""What TensorBoard shows of a fit: losses and figures as they come, and the space in the Projector at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from huse.features.atomic import replacing
from huse.features.extras import require
from huse.train.batches import TrainingRows
from huse.train.forward import MODALITIES, Arrays

CONFIG_FILE = "projector_config.pbtxt"
"""The file by which the Projector finds vectors."""


class Board:
    """One log folder with a run for each phase of a fit, ``search`` and ``refit``.

    Args:
        folder: given to `tensorboard --logdir`.

    Raises:
        ExtraError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        require("tensorboard", "tensorboard", "--tensorboard")
        self.folder = folder
        self._writers: dict[str, Any] = {}

    def epoch(self, entry: Mapping[str, Any]) -> None:
        """Shows the numbers of one entry of the history at its epoch."""
        phase = entry["phase"]
        if phase not in self._writers:
            self._writers[phase] = tf.summary.create_file_writer(str(self.folder / phase))
        with self._writers[phase].as_default(step=entry["epoch"]):
            for name, value in entry.items():
                if name not in ("phase", "epoch"):
                    tf.summary.scalar(name, value)
        self._writers[phase].flush()

    def space(self, rows: TrainingRows, outputs: Arrays, labels: NDArray[np.object_]) -> None:
        """Puts the embeddings of some rows into the Projector.

        Args:
            rows: n rows.
            outputs: of the network for them.
            labels: (n,) their label paths.
        """
        names = [m for m in MODALITIES if f"{m}_embedding" in outputs]
        there = {m: getattr(rows, f"has_{m}") for m in names}
        vectors = np.concatenate([outputs[f"{m}_embedding"][there[m]] for m in names])
        shown = {
            "class": [str(label) for m in names for label in labels[there[m]]],
            "modality": [m for m in names for _ in range(there[m].sum())],
        }
        write_projector(self.folder / "search", vectors, shown)


def write_projector(folder: Path, vectors: NDArray[np.floating], columns: Mapping[str, Sequence[str]]) -> None:
    """Writes the files of TensorBoard's Projector: vectors.tsv, metadata.tsv and the configuration that names them.

    Args:
        folder: made when it is not there.
        vectors: (n, D).
        columns: what is shown of each vector, by name, each (n,).
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = zip(*columns.values(), strict=True)
    lines = ["\t".join(_cell(value) for value in row) for row in (columns, *rows)]
    if len(columns) == 1:
        lines = lines[1:]  # the Projector takes a header only where there are several columns
    with replacing(folder / "metadata.tsv") as path:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with replacing(folder / "vectors.tsv") as path:
        np.savetxt(path, vectors, fmt="%.6g", delimiter="\t")
    entry = 'embeddings {\n  tensor_name: "huse"\n  tensor_path: "vectors.tsv"\n  metadata_path: "metadata.tsv"\n}\n'
    with replacing(folder / CONFIG_FILE) as path:
        path.write_text(entry, encoding="utf-8")


def _cell(value: str) -> str:
    return " ".join(value.split())
