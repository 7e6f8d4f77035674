"""The semantic graph: K x K distances between classes (eq. 4)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import cosine_distances

from huse.features.errors import FitError
from huse.features.files.cache import local_copy
from huse.features.files.place import place

NAMES = "class names"
TAXONOMY = "taxonomy of the label paths"
EQUAL = "all classes equally far"
NO_CLASSES = "none, as there are no classes"

Graph = NDArray[np.float32]


def load_graph(
    semantic_graph: str, where: str, classes: list[str], vectors: NDArray[np.float32] | None
) -> tuple[Graph, str]:
    """The semantic graph (K, K) of the classes, in their order, and what it comes from.

    Args:
        semantic_graph: ``names`` (class names through a text encoder), ``taxonomy`` (label paths), ``auto`` (names if
            there are vectors of all, else the taxonomy if the label paths spell one, else all classes are equally
            far), or a .npy file with a K x K matrix in the order of the sorted labels.
        where: name of the source, for messages.
        classes: sorted label paths.
        vectors: (K, Dc) vectors of the class names, None when the source does not have them all.

    Raises:
        FitError: there are no vectors of the class names, or the file does not hold such a matrix.
    """
    if not classes:
        if semantic_graph != "auto":
            raise FitError(f"semantic_graph={semantic_graph!r} (--semantic-graph): {where} has no classes to train on")
        return np.zeros((0, 0), np.float32), NO_CLASSES
    if semantic_graph == "names":
        if vectors is None:
            raise FitError(
                f"{where}: has no vectors of all its class names; "
                "give another semantic_graph (--semantic-graph), auto, taxonomy or a .npy file, "
                "or make the store with a class_encoder (--class-encoder)"
            )
        return graph_from_vectors(vectors), NAMES
    if semantic_graph == "auto" and vectors is not None:
        return graph_from_vectors(vectors), NAMES
    if semantic_graph in ("auto", "taxonomy"):
        graph = graph_from_taxonomy(classes)
        return graph, TAXONOMY if (graph[~np.eye(len(classes), dtype=bool)] < 1).any() else EQUAL
    return _read_graph(place(semantic_graph), len(classes)), semantic_graph


def _read_graph(path: Path, classes: int) -> Graph:
    option = f"semantic_graph={str(path)!r} (--semantic-graph)"
    try:
        graph = np.load(local_copy(path), allow_pickle=False)
    except OSError as error:
        raise FitError(f"{option}: not auto, names, taxonomy or a .npy file ({error})") from error
    except (ValueError, EOFError) as error:  # whose advice is of numpy's options
        raise FitError(f"{option}: no .npy file; save a K x K array of distances with numpy.save") from error
    if not isinstance(graph, np.ndarray):
        raise FitError(f"{option}: holds several arrays; save one K x K array of distances with numpy.save")
    return require_distances(graph, classes, option)


def require_distances(graph: NDArray[np.generic], classes: int, option: str) -> Graph:
    """A semantic graph that somebody made, as float32, once it is known to be one.

    Args:
        graph: what was given.
        classes: K.
        option: its name, for messages.

    Raises:
        FitError: it is not K x K, not finite, negative, not symmetric, or its diagonal is not 0.
    """
    if graph.dtype.kind not in "fiub":
        raise FitError(f"{option}: holds no numbers; give a K x K array of distances")
    if graph.shape != (classes, classes):
        raise FitError(
            f"{option}: shape {graph.shape}; it must hold {classes} x {classes} finite distances, "
            "in the order of the sorted labels"
        )
    distances = np.asarray(graph, np.float32)
    if not np.isfinite(distances).all() or (distances < 0).any():
        raise FitError(f"{option}: has values that are negative or not finite; give distances")
    if np.diagonal(distances).any():
        raise FitError(f"{option}: its diagonal is not 0; give distances, not similarities")
    if not np.allclose(distances, distances.T, rtol=1e-3, atol=1e-5):
        raise FitError(f"{option}: is not symmetric; A to B must be as far as B to A")
    return distances


def graph_from_vectors(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Cosine distances of the embeddings of class names (eq. 4).

    Args:
        vectors: (K, D), one a class; a zero vector is at distance 1 from all others.

    Returns:
        (K, K) float32, symmetric, zero diagonal, between 0 and 2.
    """
    distances = cosine_distances(vectors.astype(np.float64))
    return np.asarray(0.5 * (distances + distances.T), dtype=np.float32)


def graph_from_taxonomy(labels: list[str]) -> NDArray[np.float32]:
    """Path distance in the taxonomy that the label paths spell: 1 - shared / longer.

    `shared` is the number of leading parts two paths have in common, `longer` the length of the longer path; so
    classes that share nothing are at distance 1.
    """
    paths = [label.split("/") for label in labels]
    depths = np.array([len(path) for path in paths], np.float32)
    shared = np.zeros((len(paths), len(paths)), np.float32)
    for depth in range(1, max(map(len, paths), default=0) + 1):
        deep = np.flatnonzero(depths >= depth)
        prefixes = np.unique(["/".join(paths[i][:depth]) for i in deep], return_inverse=True)[1]
        shared[np.ix_(deep, deep)] += prefixes[:, None] == prefixes
    return np.asarray(1 - shared / np.maximum(depths[:, None], depths), np.float32)
