"""The semantic graph: K x K distances between classes (eq. 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def graph_from_vectors(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Cosine distances of the embeddings of class names (eq. 4).

    Args:
        vectors: (K, D), one a class; a zero vector is at distance 1 from all others.

    Returns:
        (K, K) float32, symmetric, zero diagonal, between 0 and 2.
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit = vectors / np.maximum(norms, 1e-12)
    distances = np.clip(1.0 - unit @ unit.T, 0.0, 2.0)
    np.fill_diagonal(distances, 0.0)
    return np.asarray(0.5 * (distances + distances.T), dtype=np.float32)


def graph_from_taxonomy(labels: list[str]) -> NDArray[np.float32]:
    """Path distance in the taxonomy that the label paths spell: 1 - shared / longer.

    `shared` is the number of leading parts two paths have in common, `longer` the length of the longer path; so
    classes that share nothing are at distance 1.
    """
    paths = [label.split("/") for label in labels]
    graph = np.empty((len(paths), len(paths)), np.float32)
    for i, a in enumerate(paths):
        for j, b in enumerate(paths):
            graph[i, j] = 1.0 - _shared(a, b) / max(len(a), len(b))
    return graph


def _shared(a: list[str], b: list[str]) -> int:
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count
