"""The files of TensorBoard's Projector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huse.features.atomic import replacing

CONFIG_FILE = "projector_config.pbtxt"
"""The file by which the Projector finds vectors."""

SPRITE_FILE = "sprite.png"


def write_projector(
    folder: Path, vectors: NDArray[np.floating], columns: Mapping[str, Sequence[str]], sprite_side: int = 0
) -> None:
    """Writes the files of TensorBoard's Projector: vectors.tsv, metadata.tsv and the configuration that names them.

    Args:
        folder: made when it is not there.
        vectors: (n, D).
        columns: what is shown of each vector, by name, each (n,).
        sprite_side: side in pixels of each vector's picture in sprite.png, which the caller writes; 0 for none.
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
    sprite = (
        f'  sprite {{ image_path: "{SPRITE_FILE}" single_image_dim: {sprite_side} single_image_dim: {sprite_side} }}\n'
    )
    entry = (
        'embeddings {\n  tensor_name: "huse"\n  tensor_path: "vectors.tsv"\n  metadata_path: "metadata.tsv"\n'
        f"{sprite if sprite_side else ''}}}\n"
    )
    with replacing(folder / CONFIG_FILE) as path:
        path.write_text(entry, encoding="utf-8")


def _cell(value: str) -> str:
    return " ".join(value.split())
