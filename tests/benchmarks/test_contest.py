"""Contestants take turns; one that cannot run is told and stops no other."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.contest import Contestant, Turns, rates, ratio, take_turns


def doubled(value: int) -> Callable[[], int]:
    return lambda: 2 * value


def broken() -> Callable[[], int]:
    raise ValueError("no such\nmodel")


def test_each_does_its_work_once_a_round() -> None:
    found = take_turns(
        {
            "a": Contestant(doubled, (2,)),
            "b": Contestant(broken),
            "c": Contestant(doubled, (3,), ("no_package_of_that_name",)),
        },
        rounds=2,
    )
    assert (found["a"].result, len(found["a"].seconds), found["a"].told) == (4, 2, "")
    assert found["b"].told == "failed: no such"
    assert found["c"].told == "not installed: no_package_of_that_name"
    assert rates(found, 8)["b_per_s"] == "failed: no such"


def test_the_ratio_is_to_the_fastest_of_a_round() -> None:
    found = {
        "huse": Turns([1.0, 2.0, 4.0]),
        "a": Turns([2.0, 2.0, 2.0]),
        "b": Turns([3.0, 1.0, 9.0]),
        "c": Turns(told="-"),
    }
    assert ratio(found, "huse", ["a", "b", "c"]) == 0.5
    assert ratio(found, "huse", ["c"]) is None
    assert ratio(found, "c", ["a"]) is None
