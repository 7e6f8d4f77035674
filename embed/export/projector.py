"""`huse export projector`: embeddings as TensorBoard's Projector takes them, with a sprite of the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from huse.embed.draw.thumbnails import Thumbnails
from huse.embed.search.gallery import shown_labels
from huse.features.errors import QueryError
from huse.features.files.place import folder_above, place
from huse.features.info import EMBEDDINGS
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.loop.projector_files import require_projector, write_projector

SPRITE_SIDE = 8192
"""Largest side of a sprite that the Projector takes, in pixels."""

TILES = (64, 48, 32, 24, 16)
"""Sides of an image in the sprite; the largest is taken that leaves room for all."""


def export_projector(embeddings: str | Path, out: str | Path, folder: Path | None = None) -> int:
    """Writes vectors.tsv, metadata.tsv, sprite.png and the configuration that names them.

    Args:
        embeddings: a store that `huse embed` made.
        out: folder for `tensorboard --logdir`.
        folder: where relative images start from; by default the folder that the embeddings lie in.

    Returns:
        How many vectors.

    Raises:
        QueryError: more vectors than a sprite has room for, none, or `out` holds files that are not of huse.
    """
    require_projector(place(out), embeddings)
    store = Store.open(embeddings, EMBEDDINGS)
    rows = store.load()
    there = rows.present.map(np.flatnonzero)
    order = np.concatenate([there.image, there.text])
    if not len(order):
        raise QueryError(f"{store.path}: no row has a vector to show")
    vectors = np.concatenate([rows.modalities.of(m).vectors[index] for m, index in there.items() if len(index)])
    side = _tile_side(len(order))
    write_projector(
        place(out),
        vectors,
        {
            "key": [str(rows.key[i]) for i in order],
            "class": shown_labels(rows)[order].tolist(),
            "modality": [m for m, index in there.items() for _ in index],
            "text": [str(rows.caption[i]) for i in order],
        },
        side,
        lambda path: _sprite(rows, order, side, folder or folder_above(store.path)).save(path, "PNG"),
    )
    return len(order)


def _tile_side(n: int) -> int:
    for side in TILES:
        if _columns(n) * side <= SPRITE_SIDE:
            return side
    raise QueryError(f"{n} vectors: the Projector's sprite has room for {(SPRITE_SIDE // TILES[-1]) ** 2}; split first")


def _columns(n: int) -> int:
    return int(np.ceil(np.sqrt(n)))


def _sprite(rows: Rows, order: NDArray[np.intp], side: int, folder: Path) -> Image.Image:
    columns = _columns(len(order))
    sprite = Image.new("RGB", (columns * side, columns * side), "white")
    thumbnails = Thumbnails(folder)
    tiles: dict[int, Image.Image | None] = {}
    for position, i in enumerate(order):
        if i not in tiles:
            small = thumbnails.image(rows.uri[i], side) if rows.image.present[i] else None
            tiles[i] = small and ImageOps.pad(small, (side, side), color="white")
        tile = tiles[i]
        if tile is not None:
            sprite.paste(tile, (position % columns * side, position // columns * side))
    thumbnails.warn_of_none()
    return sprite
