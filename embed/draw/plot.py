"""`huse plot`: embeddings as a map, as an image or a page."""

from __future__ import annotations

import os
from pathlib import Path

from huse.embed.draw.map_page import write_map_page
from huse.embed.draw.map_png import draw_map
from huse.extract.manifest.locations import image_location
from huse.features.errors import QueryError
from huse.features.files.outputs import require_output
from huse.features.files.place import folder_above, place
from huse.features.info import EMBEDDINGS
from huse.features.rows import Rows
from huse.features.store import Store


def plot_map(
    embeddings: str | Path,
    out: str | Path,
    *,
    split: str | None = None,
    projection: str = "auto",
    thumbnails: bool | None = None,
    folder: Path | None = None,
    seed: int = 0,
) -> None:
    """Draws the rows of a store of embeddings in two dimensions.

    Args:
        embeddings: the store.
        out: a file .png, or .html for a page that opens without a network.
        split: only rows of this split.
        projection: of the projection, see `project`.
        thumbnails: in a .png, draw images rather than rings; by default when they are few.
        folder: where relative images start from; by default the folder that the embeddings lie in.
        seed: of the projection.

    Raises:
        QueryError: another suffix, fewer than three vectors, or `out` is an image of the rows, lies in `embeddings`,
            or is there and not of huse.
        StoreError: no such store, or no row of this split.
        ExtraError: UMAP was asked for and is not installed.
    """
    path = place(out)
    kind = path.suffix.lower()
    if kind not in (".png", ".html"):
        raise QueryError(f"{path}: name a file .png or .html")
    require_output(path, QueryError, embeddings)
    store = Store.open(embeddings, EMBEDDINGS)
    rows = store.load((split,) if split else ())
    images = folder or folder_above(store.path)
    if path.exists() and _is_an_image_of(rows, images, path):
        raise QueryError(f"{path}: is an image of these rows; name another file")
    if kind == ".html":
        write_map_page(rows, images, path, seed, projection)
    else:
        draw_map(rows, images, path, seed, projection, thumbnails)


def _is_an_image_of(rows: Rows, folder: Path, path: Path) -> bool:
    own = os.path.realpath(str(path))
    return any(os.path.realpath(image_location(uri, folder)) == own for uri in rows.uri if uri)
