"""The files of TensorBoard's Projector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import QueryError
from huse.features.files.atomic import replacing_files
from huse.features.files.folders import require_apart, require_folder_name, require_place

CONFIG_FILE = "projector_config.pbtxt"
"""The file by which the Projector finds vectors."""

SPRITE_FILE = "sprite.png"
VECTORS_FILE = "vectors.tsv"
METADATA_FILE = "metadata.tsv"

NAME = 'tensor_name: "huse"'
"""By which a configuration is known to be of huse."""


def require_projector(folder: Path, *inputs: str | Path) -> None:
    """Refuses a folder that is read, or where other files than those of huse would be written over.

    Args:
        folder: for the Projector's files; it may hold other things, such as logs of TensorBoard.
        inputs: what is read.

    Raises:
        QueryError: the message names the file.
    """
    require_folder_name(folder, QueryError)
    require_apart(folder, QueryError, *inputs)
    require_place(folder, QueryError)
    there = [f for f in (VECTORS_FILE, METADATA_FILE, SPRITE_FILE, CONFIG_FILE) if (folder / f).exists()]
    config = folder / CONFIG_FILE
    if there and not (config.is_file() and NAME in config.read_text(encoding="utf-8", errors="replace")):
        raise QueryError(f"{folder / there[0]}: is there already, and is not of huse; name another folder")


def write_projector(
    folder: Path,
    vectors: NDArray[np.floating],
    columns: Mapping[str, Sequence[str]],
    sprite_side: int = 0,
    save_sprite: Callable[[Path], None] | None = None,
) -> None:
    """Writes vectors.tsv, metadata.tsv, perhaps sprite.png, and the configuration that names them.

    Args:
        folder: made when it is not there.
        vectors: (n, D).
        columns: what is shown of each vector, by name, each (n,).
        sprite_side: side in pixels of each vector's image in the sprite; 0 for none.
        save_sprite: writes the sprite as PNG.
    """
    rows = zip(*columns.values(), strict=True)
    lines = ["\t".join(_cell(value) for value in row) for row in (columns, *rows)]
    if len(columns) == 1:
        lines = lines[1:]  # the Projector takes a header only where there are several columns
    # the configuration goes first: by it the folder is known as of huse, also when a run is killed between two files
    names = [CONFIG_FILE, METADATA_FILE, VECTORS_FILE, *([SPRITE_FILE] if save_sprite else [])]
    with replacing_files(*(folder / name for name in names)) as paths:
        paths[0].write_text(_config(sprite_side if save_sprite else 0), encoding="utf-8")
        paths[1].write_text("\n".join(lines) + "\n", encoding="utf-8")
        np.savetxt(paths[2], vectors, fmt="%.6g", delimiter="\t")
        if save_sprite:
            save_sprite(paths[3])


def _config(sprite_side: int) -> str:
    sprite = (
        f'  sprite {{ image_path: "{SPRITE_FILE}" single_image_dim: {sprite_side} single_image_dim: {sprite_side} }}\n'
    )
    return (
        f'embeddings {{\n  {NAME}\n  tensor_path: "{VECTORS_FILE}"\n  metadata_path: "{METADATA_FILE}"\n'
        f"{sprite if sprite_side else ''}}}\n"
    )


def _cell(value: str) -> str:
    return " ".join(value.split())
