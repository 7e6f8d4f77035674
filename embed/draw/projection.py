"""The space in two dimensions: every row's image and text as a point."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from huse.embed.search.gallery import shown_labels
from huse.features.errors import QueryError
from huse.features.rows import Rows

PROJECTIONS = ("auto", "umap", "tsne", "pca")
FEW_POINTS = 2000
"""Points up to which `auto` takes t-SNE though UMAP is there: that is compiled for longer than t-SNE takes for them."""

TSNE_POINTS = 20_000
"""Points up to which `auto` takes t-SNE without UMAP; it takes a minute for them, and PCA a second for any number."""

COLORS = (
    "#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#b8860b", "#f032e6", "#808000", "#7f7f7f",
)  # fmt: skip
"""One color a top-level class; further ones share the last."""


@dataclass(frozen=True)
class Points:
    """Vectors as points of a plane.

    Attributes:
        coordinates: (n, 2), from 0 to 1 in both directions.
        is_image: (n,) an image, or else a text.
        row: (n,) the row each belongs to.
    """

    coordinates: NDArray[np.float64]
    is_image: NDArray[np.bool_]
    row: NDArray[np.intp]


def lay_out(rows: Rows, projection: str = "auto", seed: int = 0) -> Points:
    """The images of some rows, and after them the texts, as points; what is near in the space is near here.

    Args:
        rows: embeddings.
        projection: of `PROJECTIONS`.
        seed: of the projection.

    Raises:
        QueryError: fewer than three vectors, or no such projection.
        ExtraError: UMAP was asked for and is not installed.
    """
    coordinates = rows.present.map(np.flatnonzero)
    images, texts = coordinates.image, coordinates.text
    if len(images) + len(texts) < 3:
        raise QueryError(
            f"a map needs at least three images or texts, there are {len(images) + len(texts)}; embed more rows"
        )
    vectors = [rows.modalities.of(modality).vectors[index] for modality, index in coordinates.items() if len(index)]
    flat = project(np.concatenate(vectors), projection, seed)
    extent = np.maximum(flat.max(axis=0) - flat.min(axis=0), 1e-9)
    scaled = (flat - flat.min(axis=0)) / extent
    return Points(scaled, np.arange(len(scaled)) < len(images), np.concatenate([images, texts]))


def project(vectors: NDArray[np.floating], projection: str = "auto", seed: int = 0) -> NDArray[np.float64]:
    """(n, D) unit vectors to (n, 2) coordinates.

    Args:
        vectors: what to project, at least three.
        projection: ``umap`` (extra [plot]), ``tsne`` or ``pca``; ``auto`` takes one that is there and fast.
        seed: of the projection.

    Raises:
        QueryError: no such projection.
        ExtraError: UMAP was asked for and is not installed.
    """
    if projection not in PROJECTIONS:
        raise QueryError(f"no projection {projection!r}; use {', '.join(PROJECTIONS)}")
    if projection == "auto":
        projection = _fast(len(vectors))
    wide = vectors.astype(np.float32)
    if projection == "pca" or len(vectors) < 5:
        from sklearn.decomposition import PCA

        return np.asarray(PCA(2, random_state=seed).fit_transform(wide), np.float64)
    if projection == "umap":
        return _umap(wide, seed)
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    tsne = TSNE(metric="cosine", init="random", perplexity=perplexity, random_state=seed)
    return np.asarray(tsne.fit_transform(wide), np.float64)


def _fast(points: int) -> str:
    """The projection that `auto` takes."""
    if points > FEW_POINTS and find_spec("umap"):
        return "umap"
    return "tsne" if points <= TSNE_POINTS else "pca"


def _umap(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    from huse.features.extras import require

    umap = require("umap", "plot", "a map by UMAP")
    # one thread: a seed costs it the others, which it would warn of
    reducer = umap.UMAP(metric="cosine", n_neighbors=min(15, len(vectors) - 1), random_state=seed, n_jobs=1)
    return np.asarray(reducer.fit_transform(vectors), np.float64)


def groups_of(rows: Rows) -> tuple[list[str], list[str]]:
    """The top level of each row's label path, and all of them, the most frequent first."""
    groups = [label.split("/")[0] or "(no label)" for label in shown_labels(rows)]
    return groups, [name for name, _ in Counter(groups).most_common()]


def color_of(legend: list[str]) -> dict[str, str]:
    """A color for each top-level class."""
    return {name: COLORS[min(i, len(COLORS) - 1)] for i, name in enumerate(legend)}
