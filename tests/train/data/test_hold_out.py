from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from huse.train.data.hold_out import best_known, held_out, hold_out


@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=80), fraction=st.floats(0, 0.9))
def test_no_class_is_held_out_whole(labels: list[int], fraction: float) -> None:
    names = np.array(labels)
    held = hold_out(names, fraction, seed=1)
    assert set(names[~held]) == set(labels)
    for name in set(labels):
        size = labels.count(name)
        assert held[names == name].sum() == min(round(size * fraction), size - 1)


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    groups=st.lists(st.integers(0, 25), min_size=60, max_size=60),
    fraction=st.floats(0, 0.9),
    seed=st.integers(0, 3),
)
def test_groups_are_held_out_whole(labels: list[int], groups: list[int], fraction: float, seed: int) -> None:
    names, group = np.array(labels), np.array(groups[: len(labels)])
    held = hold_out(names, fraction, seed, groups=group)
    assert not set(group[held]) & set(group[~held])
    assert set(names[~held]) == set(labels), "no class is held out whole"


def test_groups_of_equal_size_give_the_share_that_was_asked_for() -> None:
    held = hold_out(np.repeat([0, 1], 200), 0.2, 0, groups=np.arange(400) // 4)
    assert 76 <= held.sum() <= 84


def test_held_out_rows_have_a_limit() -> None:
    labels = np.arange(1000) % 10
    assert hold_out(labels, 0.5, 0).sum() == 500
    assert hold_out(labels, 0.5, 0, most=100).sum() == 100


@pytest.mark.parametrize(
    ("classes", "rows", "most", "expected"),
    [(5000, 4, 400, 400), (3000, 5, 2000, 2000), (1000, 3, 10**6, 450), (400, 1, 10**6, 0), (3, 3, 10**6, 0)],
)
def test_of_many_small_classes_some_give_a_row(classes: int, rows: int, most: int, expected: int) -> None:
    labels = np.repeat(np.arange(classes), rows)
    held = hold_out(labels, 0.15, 0, most=most)
    assert held.sum() == expected
    assert len(set(labels[~held])) == classes, "no class is held out whole"


@given(
    labels=st.lists(st.integers(-1, 3), min_size=1, max_size=60),
    groups=st.lists(st.integers(0, 25), min_size=60, max_size=60),
    fraction=st.floats(0, 0.9),
    seed=st.integers(0, 3),
)
def test_no_content_of_validation_rows_is_trained_on(
    labels: list[int], groups: list[int], fraction: float, seed: int
) -> None:
    names, group = np.array(labels), np.array(groups[: len(labels)])
    validates, held = held_out(names, fraction, seed, 1000, group)
    assert not set(group[validates]) & set(group[~held])
    assert not (validates & ~held).any()
    assert set(names[~held]) - {-1} == set(labels) - {-1}, "no class is held out whole"
    assert len(set(names[validates] == -1)) <= 1, "rows with a label and rows without one do not validate together"


def test_rows_with_a_label_validate_where_they_are_enough() -> None:
    group, labels = np.arange(3000), np.repeat([0, 1, -1], [500, 500, 2000])
    validates, held = held_out(labels, 0.1, 0, 5000, group)
    assert np.bincount(labels[validates]).tolist() == [50, 50]
    assert (validates == held).all()
    validates, held = held_out(labels, 0.098, 0, 5000, group)
    assert set(labels[validates]) == {-1}
    assert validates.sum() == 196
    few, _ = held_out(np.full(100, -1), 0.2, 0, 5, group[:100])
    assert few.sum() == 5
    none, _ = held_out(np.full(0, -1), 0.2, 0, 5, group[:0])
    assert none.tolist() == []
    all_labeled, _ = held_out(labels[:40], 0.1, 0, 5000, group[:40])
    assert all_labeled.sum() == 4, "where all have a label, few do too"


def test_a_few_rows_without_a_label_take_no_validation_from_those_with_one() -> None:
    for unlabeled in (1, 3, 10):
        labels = np.append(np.arange(300) % 3, np.full(unlabeled, -1))
        validates, _ = held_out(labels, 0.15, 0, 5000, np.arange(len(labels)))
        assert np.bincount(labels[validates]).tolist() == [15, 15, 15]
    labeled = np.arange(30) < 2
    assert best_known(labeled, ~labeled).sum() == 28
    assert best_known(~labeled, labeled).sum() == 28
    assert best_known(labeled, np.zeros(30, bool)).sum() == 2
