from __future__ import annotations

import numpy as np
import pytest

from huse.train.semantic_graph import graph_from_taxonomy, graph_from_vectors


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
