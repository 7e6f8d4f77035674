"""Metrics against plain-Python loops, hand-worked cases, and averages over random orders of ties."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from huse.train.classes.taxonomy import ancestors_of_labels, near_classes
from huse.train.evaluation.metrics import accuracy, hierarchical_precision, instance_metrics, retrieval_metrics


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def loop_metrics(
    q: NDArray[np.float64], g: NDArray[np.float64], ql: list[int], gl: list[int], own: bool, order: list[int]
) -> dict[str, float]:
    hits: dict[int, list[float]] = {k: [] for k in (1, 5, 10)}
    precisions = []
    for i in range(len(q)):
        candidates = [j for j in order if not (own and i == j)]
        candidates.sort(key=lambda j: -round(float(q[i] @ g[j]), 5))
        relevant = [gl[j] == ql[i] for j in candidates]
        for k in hits:
            hits[k].append(any(relevant[:k]))
        if any(relevant):
            found, total = 0, 0.0
            for place, is_relevant in enumerate(relevant, start=1):
                if is_relevant:
                    found += 1
                    total += found / place
            precisions.append(total / found)
    return {**{f"r_at_{k}": float(np.mean(v)) for k, v in hits.items()}, "map": float(np.mean(precisions))}


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_plain_loop(seed: int, own: bool) -> None:
    rng = np.random.default_rng(seed)
    n, m = (40, 40) if own else (30, 47)
    q = unit(rng.normal(size=(n, 4)))
    g = q if own else unit(rng.normal(size=(m, 4)))
    ql = rng.integers(0, 6, n)
    gl = ql if own else rng.integers(0, 6, m)
    keys = (np.arange(n), np.arange(n)) if own else (None, None)
    expected = loop_metrics(q, g, ql.tolist(), gl.tolist(), own, list(range(m)))
    assert retrieval_metrics(q, g, ql, gl, *keys) == pytest.approx(expected, abs=1e-5)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), own=st.booleans())
def test_ties_count_as_the_average_over_their_orders(seed: int, own: bool) -> None:
    rng = np.random.default_rng(seed)
    directions = unit(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    q = directions[rng.integers(0, 3, 7)]
    labels = rng.integers(0, 3, 7)
    keys = (np.arange(7), np.arange(7)) if own else (None, None)
    ours = retrieval_metrics(q, q, labels, labels, *keys)
    runs = [loop_metrics(q, q, labels.tolist(), labels.tolist(), own, rng.permutation(7).tolist()) for _ in range(600)]
    for name, value in ours.items():
        assert value == pytest.approx(np.mean([run[name] for run in runs]), abs=0.06), name


@pytest.mark.parametrize("relevant", [(1, 1, 0), (1, 0, 0), (1, 1, 1), (0, 1, 1, 0)])
def test_ties_count_as_the_average_over_all_their_orders(relevant: tuple[int, ...]) -> None:
    tied = np.ones((len(relevant), 1))
    orders = list(permutations(range(len(relevant))))
    runs = [loop_metrics(tied[:1], tied, [1], list(relevant), False, list(order)) for order in orders]
    expected = {name: np.mean([run[name] for run in runs]) for name in runs[0]}
    assert retrieval_metrics(tied[:1], tied, np.array([1]), np.array(relevant)) == pytest.approx(expected, abs=1e-9)


def test_constant_embeddings_score_chance() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 20)
    constant = np.tile(unit(rng.normal(size=(1, 300))), (200, 1)).astype(np.float32)
    result = retrieval_metrics(constant, constant, labels, labels)
    assert result["r_at_1"] == pytest.approx(0.1, abs=1e-9)
    assert result["r_at_5"] == pytest.approx(1 - np.prod([(180 - i) / (200 - i) for i in range(5)]), abs=1e-9)
    assert result["map"] == pytest.approx(0.1, abs=0.03)
    keys = np.arange(200)
    alone = retrieval_metrics(constant, constant, labels, labels, keys, keys)
    assert alone["r_at_1"] == pytest.approx(19 / 199, abs=1e-9)


def test_by_hand() -> None:
    query = np.array([[1.0, 0.0]])
    gallery = unit(np.array([[1.0, 0.1], [1.0, 0.2], [1.0, 0.3], [0.0, 1.0]]))
    result = retrieval_metrics(query, gallery, np.array([7]), np.array([1, 7, 2, 7]), ks=(1, 2))
    assert result == pytest.approx({"r_at_1": 0.0, "r_at_2": 1.0, "map": (1 / 2 + 2 / 4) / 2})


def test_blocks_change_nothing() -> None:
    rng = np.random.default_rng(3)
    q, labels, keys = unit(rng.normal(size=(50, 8))), rng.integers(0, 5, 50), np.arange(50)
    whole = retrieval_metrics(q, q, labels, labels, keys, keys)
    assert retrieval_metrics(q, q, labels, labels, keys, keys, held=160) == pytest.approx(whole)


def test_no_queries_and_no_gallery() -> None:
    none, some = np.zeros((0, 3)), np.ones((2, 3))
    for q, g in ((none, some), (some, none)):
        labels = np.zeros(len(q), int), np.zeros(len(g), int)
        result = retrieval_metrics(q, g, *labels)
        assert list(result) == ["r_at_1", "r_at_5", "r_at_10", "map"]
        near = {k: np.eye(2, dtype=bool) for k in (2, 5)}
        result |= hierarchical_precision(q, g, *labels, near)
        assert list(result)[4:] == ["hp_at_2", "hp_at_5"]
        assert all(np.isnan(value) for value in result.values())


def test_a_class_of_one_can_not_be_found_in_its_own_modality() -> None:
    q = unit(np.random.default_rng(0).normal(size=(3, 4)))
    labels, keys = np.array([0, 0, 1]), np.arange(3)
    result = retrieval_metrics(q, q, labels, labels, keys, keys, ks=(2,))
    assert result["r_at_2"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("own", [False, True])
def test_hierarchical_precision_equals_the_plain_loop(own: bool) -> None:
    rng = np.random.default_rng(5)
    labels = ["a/x/1", "a/x/2", "a/y/3", "b/z/4", "b/z/5", "c"]
    near = near_classes(ancestors_of_labels(labels), (1, 2, 5))
    vectors, classes = unit(rng.normal(size=(30, 4))), rng.integers(0, 6, 30)
    keys = np.arange(30)
    ours = hierarchical_precision(vectors, vectors, classes, classes, near, *((keys, keys) if own else (None, None)))
    for k in (1, 2, 5):
        shares = []
        for i in range(30):
            order = sorted(
                (j for j in range(30) if not (own and i == j)), key=lambda j: -float(vectors[i] @ vectors[j])
            )
            path = labels[classes[i]].split("/")
            right = {classes[i]}
            for depth in range(len(path) - 1, -1, -1):
                if len(right) < k:
                    right = {c for c, label in enumerate(labels) if label.split("/")[:depth] == path[:depth]}
            if len(right) < len(labels):
                shares.append(sum(classes[j] in right for j in order[:k]) / k)
        if shares:
            assert ours[f"hp_at_{k}"] == pytest.approx(np.mean(shares), abs=1e-6)
        else:
            assert np.isnan(ours[f"hp_at_{k}"])


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["x/a", "x/b", "x/c"], ["x/a", "x/b", "y/c"]])
def test_hierarchical_precision_says_nothing_where_all_classes_are_right(labels: list[str]) -> None:
    near = near_classes(ancestors_of_labels(labels), (5,))
    vectors, classes = unit(np.random.default_rng(0).normal(size=(12, 4))), np.arange(12) % 3
    assert np.isnan(hierarchical_precision(vectors, vectors, classes, classes, near)["hp_at_5"])


def test_hierarchical_precision_at_one_k_may_say_nothing_and_at_the_next_something() -> None:
    near = {5: np.ones((2, 2), bool), 1: np.eye(2, dtype=bool)}
    result = hierarchical_precision(np.eye(2), np.eye(2), np.arange(2), np.arange(2), near)
    assert np.isnan(result["hp_at_5"])
    assert result["hp_at_1"] == 1.0


def test_own_keys_are_left_out_only_where_both_sides_have_some() -> None:
    labels, keys = np.arange(2), np.arange(2)
    for one_sided in ((keys, None), (None, keys)):
        assert retrieval_metrics(np.eye(2), np.eye(2), labels, labels, *one_sided)["r_at_1"] == 1.0


def test_hierarchical_precision_of_ties_is_chance() -> None:
    constant, classes = np.ones((20, 1)), np.arange(20) % 2
    near = {k: np.eye(2, dtype=bool) for k in (1, 5)}
    assert hierarchical_precision(constant, constant, classes, classes, near) == pytest.approx(
        {"hp_at_1": 0.5, "hp_at_5": 0.5}
    )


def loop_instances(
    q: NDArray[np.float64], g: NDArray[np.float64], own: list[tuple[int, int]], order: list[int]
) -> dict[str, float]:
    ranks = []
    for i in sorted({query for query, _ in own}):
        candidates = sorted(order, key=lambda j: -round(float(q[i] @ g[j]), 5))
        ranks.append(next(place for place, j in enumerate(candidates, start=1) if (i, j) in own))
    found = {f"r_at_{k}": float(np.mean([rank <= k for rank in ranks])) for k in (1, 5, 10)}
    return {**found, "mrr": float(np.mean([1 / rank for rank in ranks]))}


@pytest.mark.parametrize("held", [30, 1 << 20])
@pytest.mark.parametrize("seed", range(4))
def test_instances_equal_the_plain_loop(seed: int, held: int) -> None:
    """Some queries have several items, some none, and some items belong to several queries."""
    rng = np.random.default_rng(seed)
    q, g = unit(rng.normal(size=(30, 4))), unit(rng.normal(size=(12, 4)))
    own = sorted({(int(i), int(j)) for i, j in zip(rng.integers(0, 30, 40), rng.integers(0, 12, 40), strict=True)})
    shuffled = rng.permutation(np.array(own))
    assert instance_metrics(q, g, shuffled, held=held) == pytest.approx(
        loop_instances(q, g, own, list(range(12))), abs=1e-9
    )


@pytest.mark.parametrize("hits", [(0,), (0, 2), (1, 2, 3), (0, 1, 2, 3, 4)])
def test_tied_instances_count_as_the_average_over_all_their_orders(hits: tuple[int, ...]) -> None:
    """One item is nearer than those that are tied, and no hit; the others are as near as each other."""
    q, g = np.array([[1.0, 0.0]]), unit(np.array([[1.0, 0.5]] * 5 + [[1.0, 0.1]]))
    own = [(0, hit) for hit in hits]
    runs = [loop_instances(q, g, own, list(order)) for order in permutations(range(6))]
    expected = {name: np.mean([run[name] for run in runs]) for name in runs[0]}
    assert instance_metrics(q, g, np.array(own)) == pytest.approx(expected, abs=1e-9)


def test_constant_embeddings_find_their_instances_by_chance() -> None:
    constant, pairs = np.ones((200, 1)), np.stack([np.arange(200)] * 2, axis=1)
    result = instance_metrics(constant, constant, pairs)
    harmonic = float(np.sum(1 / np.arange(1, 201)))
    assert result == pytest.approx({"r_at_1": 1 / 200, "r_at_5": 5 / 200, "r_at_10": 10 / 200, "mrr": harmonic / 200})


def test_no_instances() -> None:
    result = instance_metrics(np.ones((2, 3)), np.ones((0, 3)), np.zeros((0, 2), int))
    assert list(result) == ["r_at_1", "r_at_5", "r_at_10", "mrr"]
    assert all(np.isnan(value) for value in result.values())


def test_accuracy() -> None:
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert accuracy(scores, np.array([1, 1, -1])) == pytest.approx(1 / 3)
    assert np.isnan(accuracy(scores[:0], np.zeros(0, int)))
