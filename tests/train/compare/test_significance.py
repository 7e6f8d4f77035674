"""The paired bootstrap against hand-worked cases and the theory of means."""

from __future__ import annotations

import numpy as np
import pytest

from huse.train.compare.significance import paired_bootstrap


def test_a_constant_gain_leaves_nothing_open() -> None:
    theirs = np.random.default_rng(0).random(50)
    found = paired_bootstrap(theirs + 0.25, theirs)
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    assert found.verdict == "ahead"
    assert paired_bootstrap(theirs, theirs + 0.25).verdict == "behind"
    assert paired_bootstrap(theirs, theirs).verdict == "level"


def test_the_interval_is_that_of_a_mean() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(0.1, 1, 400), rng.normal(0, 1, 400)
    found, gain = paired_bootstrap(ours, theirs), ours - theirs
    half = 1.96 * gain.std() / 20
    assert found.mean == pytest.approx(gain.mean())
    assert (found.low, found.high) == pytest.approx((gain.mean() - half, gain.mean() + half), abs=0.02)
    assert paired_bootstrap(ours, theirs) == found, "the samples follow from the seed"


def test_queries_are_paired_and_those_that_do_not_count_are_left_out() -> None:
    rng = np.random.default_rng(2)
    theirs = rng.normal(0, 5, 300)
    ours = theirs + rng.normal(0.1, 0.1, 300)
    assert paired_bootstrap(ours, theirs).verdict == "ahead"
    assert paired_bootstrap(rng.permutation(ours), theirs).verdict == "level", "only the pairs tell it"
    some = np.arange(300) % 3 == 0
    left_out = paired_bootstrap(np.where(some, np.nan, ours), np.where(some, np.nan, theirs))
    assert left_out.mean == pytest.approx((ours - theirs)[~some].mean())


def test_without_queries_nothing_is_said() -> None:
    found = paired_bootstrap(np.array([np.nan]), np.array([np.nan]))
    assert np.isnan(found.mean)
    assert found.verdict == "level"
