from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from huse.train.data.folds import folds_of


@given(
    rows=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 20)), min_size=1, max_size=40),
    folds=st.integers(2, 6),
    seed=st.integers(0, 3),
)
def test_groups_stay_whole_and_classes_are_dealt_out_evenly(rows: list[tuple[int, int]], folds: int, seed: int) -> None:
    labels, groups = map(np.array, zip(*rows, strict=True))
    fold = folds_of(labels, groups, folds, seed)
    assert fold.tolist() == folds_of(labels, groups, folds, seed).tolist()
    assert set(fold.tolist()) <= set(range(folds))
    first = {}
    for group, label, its in zip(groups.tolist(), labels.tolist(), fold.tolist(), strict=True):
        assert first.setdefault(group, (label, its))[1] == its, "a group lies in one fold"
    for dealt in [list(first.values()), *([each for each in first.values() if each[0] == k] for k in range(-1, 4))]:
        counts = np.bincount([its for _, its in dealt], minlength=folds) if dealt else np.zeros(folds)
        assert counts.max() - counts.min() <= 1


def test_another_seed_deals_otherwise() -> None:
    rows = np.arange(50)
    assert (folds_of(rows % 2, rows, 5, 0) != folds_of(rows % 2, rows, 5, 1)).any()
