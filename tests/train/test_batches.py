from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import random_rows

from huse.train.batches import TrainingRows, class_balance, epoch_batches, hold_out


@given(n=st.integers(1, 90), size=st.integers(1, 40))
def test_an_epoch_has_every_row_and_one_batch_length(n: int, size: int) -> None:
    batches = list(epoch_batches(n, size, np.random.default_rng(0)))
    assert {len(batch) for batch in batches} == {min(size, n)}
    assert set(np.concatenate(batches)) == set(range(n))
    assert all(len(set(batch)) == len(batch) for batch in batches)


@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=80), fraction=st.floats(0, 0.9))
def test_no_class_is_held_out_whole(labels: list[int], fraction: float) -> None:
    names = np.array(labels)
    held = hold_out(names, fraction, seed=1)
    assert set(names[~held]) == set(labels)
    for name in set(labels):
        size = labels.count(name)
        assert held[names == name].sum() == min(round(size * fraction), size - 1)


def test_labels_become_numbers() -> None:
    rows = random_rows(4)
    data = TrainingRows.of(rows, ["things/class 0", "things/class 2"])
    assert data.labels.tolist() == [0, -1, 1, 0]
    more = data.with_texts(np.ones((2, 4), np.float32), np.array([1, 0], np.int32))
    assert more.has_image.tolist() == [True] * 4 + [False] * 2
    assert more.labels.tolist() == [0, -1, 1, 0, 1, 0]


def test_balanced_batches_draw_every_class_equally() -> None:
    labels = np.repeat([0, 1, 2], [80, 15, 5])
    probabilities = class_balance(labels)
    assert probabilities.sum() == pytest.approx(1)
    drawn = np.concatenate(
        [b for s in range(40) for b in epoch_batches(100, 10, np.random.default_rng(s), probabilities)]
    )
    np.testing.assert_allclose(np.bincount(labels[drawn]) / len(drawn), 1 / 3, atol=0.03)
