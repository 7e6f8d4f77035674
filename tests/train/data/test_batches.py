from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import random_rows

from huse.features.modality import Pair
from huse.train.data.batches import TrainingRows, class_balance, feature_moments, in_batches, with_texts


@given(n=st.integers(1, 90), size=st.integers(1, 40))
def test_an_epoch_has_every_row_and_one_batch_length(n: int, size: int) -> None:
    size = min(size, n)
    batches = list(in_batches(np.random.default_rng(0).permutation(n), size))
    assert {len(batch) for batch in batches} == {size}
    assert len(batches) == -(-n // size)
    assert set(np.concatenate(batches)) == set(range(n))
    assert all(len(set(batch)) == len(batch) for batch in batches)


def test_labels_become_numbers() -> None:
    rows = random_rows(4)
    data = TrainingRows.of(rows, ["things/class 0", "things/class 2"])
    assert data.labels.tolist() == [0, -1, 1, 0]
    more = with_texts(data, np.ones((2, 4), np.float32), np.array([1, 0], np.int32))
    assert more.image.present.tolist() == [True] * 4 + [False] * 2
    assert more.labels.tolist() == [0, -1, 1, 0, 1, 0]


def test_balanced_batches_draw_every_class_equally() -> None:
    labels = np.repeat([0, 1, 2], [80, 15, 5])
    probabilities = class_balance(labels)
    assert probabilities.sum() == pytest.approx(1)
    none = TrainingRows.empty(0, Pair(image=2, text=3), np.dtype("float32"))
    data = with_texts(none, np.zeros((100, 3)), labels.astype(np.int32))
    orders = [
        order
        for seed in range(40)
        for _, order in data.windows(np.arange(100), 10, np.random.default_rng(seed), probabilities)
    ]
    drawn = np.concatenate(orders)
    np.testing.assert_allclose(np.bincount(labels[drawn]) / len(drawn), 1 / 3, atol=0.03)


@pytest.mark.parametrize("square_root", [False, True])
@given(sizes=st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_moments_of_parts_are_those_of_the_whole(square_root: bool, sizes: list[int]) -> None:
    whole = np.random.default_rng(0).normal(3.0, size=(sum(sizes), 4)).astype(np.float16)
    whole[::3, 1] = 0
    moments = feature_moments(np.split(whole, np.cumsum(sizes)[:-1]), square_root)
    values = whole.astype(np.float64)
    if square_root:
        values = np.sign(values) * np.sqrt(np.abs(values))
    if len(values):
        np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(moments.variance, values.var(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(moments.filled, (values != 0).mean(axis=0))
    else:
        assert [moments.mean.tolist(), moments.variance.tolist()] == [[0] * 4, [1] * 4]


def test_sparse_columns_are_scaled_by_the_values_that_are_there() -> None:
    rng = np.random.default_rng(0)
    dense = rng.normal(5.0, 3.0, size=(4000, 1))
    rare = np.where(rng.random((4000, 1)) < 0.01, rng.normal(0.0, 0.3, size=(4000, 1)), 0.0)
    values = np.concatenate([dense, rare, np.full((4000, 1), 7.3), np.zeros((4000, 1)), dense / 1e9], axis=1)
    moments = feature_moments([values], False)
    scaled = (values - moments.mean) / moments.deviation()
    assert scaled[:, 0].std() == pytest.approx(1)
    assert scaled[rare[:, 0] != 0, 1].std() == pytest.approx(1, rel=0.02)
    other = (np.array([[5.0, 0.0, 9.0, 0.5, 0.0]]) - moments.mean) / moments.deviation()
    assert scaled[:, 4].std() == pytest.approx(1), "whatever its unit"
    assert np.abs(other[0, 2:4]).max() < 1e-5, "columns that never changed stay silent"
