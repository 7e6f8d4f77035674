"""Confident learning as the paper has it, by plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import random_rows

from huse.train.evaluation.doubts import doubted, doubts_of


def by_plain_loops(labels: list[int], probabilities: list[list[float]]) -> list[tuple[int, int]]:
    classes = range(len(probabilities[0]))
    thresholds = {}
    for k in classes:
        own = [p[k] for label, p in zip(labels, probabilities, strict=True) if label == k]
        if own:
            thresholds[k] = sum(own) / len(own)
    found = []
    for i, (label, p) in enumerate(zip(labels, probabilities, strict=True)):
        confident = [k for k in thresholds if p[k] >= thresholds[k] - 1e-6]
        best = max(confident, key=lambda k: (p[k], -k), default=label)
        if best != label and max(classes, key=lambda k: (p[k], -k)) != label:
            found.append((p[label], i, best))
    return [(i, best) for _, i, best in sorted(found)]


@settings(max_examples=200)
@given(
    rows=st.integers(2, 5).flatmap(
        lambda k: st.lists(
            st.tuples(st.integers(0, k - 1), st.lists(st.integers(0, 8), min_size=k, max_size=k)),
            min_size=1,
            max_size=12,
        )
    )
)
def test_the_doubted_are_those_of_plain_loops(rows: list[tuple[int, list[int]]]) -> None:
    labels = [label for label, _ in rows]
    probabilities = [[(value + 0.01) / sum(v + 0.01 for v in values) for value in values] for _, values in rows]
    found, suggested = doubted(np.array(labels), np.array(probabilities))
    assert list(zip(found.tolist(), suggested.tolist(), strict=True)) == by_plain_loops(labels, probabilities)


def test_a_class_that_the_model_is_rarely_sure_of_takes_less_to_be_suggested() -> None:
    """Rows of class 1 get 0.4 at best: a row of class 0 with 0.4 for it is doubted, though 2 has as much of others."""
    labels = np.array([0, 1, 1, 2, 2])
    probabilities = np.array(
        [[0.25, 0.40, 0.35], [0.3, 0.4, 0.3], [0.35, 0.4, 0.25], [0.05, 0.05, 0.9], [0.2, 0.45, 0.35]]
    )
    found, suggested = doubted(labels, probabilities)
    assert found.tolist() == [0, 4]
    assert suggested.tolist() == [1, 1]


def test_none_of_no_rows_is_doubted() -> None:
    assert [each.tolist() for each in doubted(np.zeros(0, int), np.zeros((0, 3)))] == [[], []]


def test_only_rows_that_are_judged_are_told_with_all_that_names_them() -> None:
    rows, classes = random_rows(6), [f"things/class {i}" for i in range(3)]
    probabilities = np.eye(3, dtype=np.float32)[[1, 1, 2, 1, 1, 2]] * 0.8 + 0.1
    judged = np.array([False, True, True, True, True, True])
    doubts = doubts_of(rows, classes, probabilities, judged, 1)
    assert (doubts.judged, doubts.trained_on) == (5, 1)
    (doubt,) = doubts.found
    assert (doubt.key, doubt.label, doubt.suggested) == ("row-00003", "things/class 0", "things/class 1")
    assert (doubt.split, doubt.caption, doubt.uri) == ("train", "caption 3 ü", "images/3.png")
    assert np.allclose([doubt.probability, doubt.suggested_probability], [0.1, 0.9])
