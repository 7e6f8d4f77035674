import pytest

from huse.extract.engines.units import Units
from huse.features.errors import ClusterError


def test_the_largest_come_first_and_equal_ones_in_order() -> None:
    units = Units({0: 5, 1: 9, 2: 9, 3: 1}, tries=1)
    assert [units.next([]) for _ in range(4)] == [1, 2, 0, 3]


def test_when_nothing_waits_the_oldest_that_runs_is_done_a_second_time_but_no_third() -> None:
    units = Units({0: 1, 1: 1}, tries=1)
    running = [units.next([]), units.next([0])]
    assert units.next(running) == 0
    assert units.next([0, 1, 0]) == 1
    assert units.next([0, 1, 0, 1]) is None


def test_what_is_done_is_done_once_and_runs_no_second_time() -> None:
    units = Units({0: 1, 1: 1}, tries=1)
    running = [units.next([]), units.next([])]
    assert units.done(0)
    assert not units.done(0)
    assert units.next(running) == 1
    assert units.lacking == {1}


def test_what_failed_is_tried_again_before_others_and_then_given_up_and_named() -> None:
    units = Units({0: 2, 1: 1}, tries=2)
    assert units.next([]) == 0
    units.failed(0, "its worker died")
    assert units.next([]) == 0
    units.failed(0, "its worker died")
    assert units.lacking == {1}
    assert units.next([]) == 1
    assert units.done(1)
    with pytest.raises(ClusterError, match=r"shard 0 could not be filled in 2 tries \(its worker died\)"):
        units.require_all()


def test_a_failure_of_what_another_worker_has_done_is_none() -> None:
    units = Units({0: 1}, tries=1)
    assert units.done(0)
    units.failed(0, "its worker died")
    units.require_all()
    assert units.next([]) is None


def test_many_that_were_given_up_are_not_all_named() -> None:
    units = Units(dict.fromkeys(range(12), 1), tries=1)
    for number in range(12):
        units.failed(number, "no disk")
    with pytest.raises(ClusterError, match="shards 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"):
        units.require_all()
