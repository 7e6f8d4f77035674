from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from huse.features.errors import FitError
from huse.train.classes.semantic_graph import (
    EQUAL,
    NAMES,
    TAXONOMY,
    graph_from_taxonomy,
    graph_from_vectors,
    load_graph,
)

VECTORS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def test_cosine_distances_of_vectors() -> None:
    vectors = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 0.5], [-1.0, 0.0]])
    graph = graph_from_vectors(vectors)
    half = 1 - np.sqrt(0.5)
    expected = [[0, half, 1, 2], [half, 0, half, 1 + np.sqrt(0.5)], [1, half, 0, 1], [2, 1 + np.sqrt(0.5), 1, 0]]
    np.testing.assert_allclose(graph, expected, atol=1e-6)
    assert (graph == graph.T).all()


def test_path_distances() -> None:
    labels = ["apparel/topwear/shirts", "apparel/topwear/tops", "apparel/shoes", "toys"]
    graph = graph_from_taxonomy(labels)
    assert graph[0] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert graph[2] == pytest.approx([2 / 3, 2 / 3, 0, 1])


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join), max_size=8))
def test_path_distances_are_those_of_loops(labels: list[str]) -> None:
    graph = graph_from_taxonomy(labels)
    for i, one in enumerate(labels):
        for j, other in enumerate(labels):
            a, b = one.split("/"), other.split("/")
            shared = next((k for k in range(min(len(a), len(b))) if a[k] != b[k]), min(len(a), len(b)))
            assert graph[i, j] == pytest.approx(1 - shared / max(len(a), len(b)))


@pytest.mark.parametrize(
    ("classes", "vectors", "source"),
    [
        (["a/x", "a/y", "b"], VECTORS, NAMES),
        (["a/x", "a/y", "b"], None, TAXONOMY),
        (["a", "b", "c"], None, EQUAL),
        (["a/x", "b/x", "c/x"], None, EQUAL),
    ],
)
def test_auto_takes_the_best_there_is_and_says_what(
    classes: list[str], vectors: NDArray[np.float32] | None, source: str
) -> None:
    graph, said = load_graph("auto", "s", classes, vectors)
    assert said == source
    if source == EQUAL:
        assert graph.tolist() == (1 - np.eye(3)).tolist()


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (1 - np.eye(4), r"shape \(4, 4\); it must hold 3 x 3"),
        (np.eye(3), "its diagonal is not 0; give distances, not similarities"),
        (np.triu(np.ones((3, 3)), 1), "not symmetric"),
        (np.where(np.eye(3) > 0, 0, np.nan), "negative or not finite"),
        (np.eye(3) - 1, "negative or not finite"),
        (np.array([["a"] * 3] * 3), "holds no numbers"),
    ],
)
def test_files_that_hold_no_distances_are_refused(tmp_path: Path, matrix: NDArray[np.generic], message: str) -> None:
    np.save(tmp_path / "g.npy", matrix)
    with pytest.raises(FitError, match=message):
        load_graph(str(tmp_path / "g.npy"), "s", ["a", "b", "c"], None)
    np.savez(tmp_path / "g.npz", matrix)
    with pytest.raises(FitError, match="holds several arrays"):
        load_graph(str(tmp_path / "g.npz"), "s", ["a", "b", "c"], None)


def test_names_need_vectors() -> None:
    with pytest.raises(FitError, match="s: has no vectors of all its class names; give another semantic_graph"):
        load_graph("names", "s", ["a", "b"], None)
