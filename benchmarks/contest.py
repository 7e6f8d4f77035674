"""Contestants take turns, each in a process of its own, so that no library's threads spin beside another's work."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Contestant:
    """One way to do a work.

    Attributes:
        make: called in its process; returns what does the work once and returns its result. A function of a module.
        arguments: of `make`.
        packages: import names without which it cannot run.
    """

    make: Callable[..., Callable[[], Any]]
    arguments: tuple[Any, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass
class Turns:
    """What became of a contestant.

    Attributes:
        seconds: of each round.
        result: of the work, made once before the rounds, which warms up.
        told: why there are no seconds; empty where there are.
    """

    seconds: list[float] = field(default_factory=list)
    result: Any = None
    told: str = ""

    @property
    def median(self) -> float:
        """Seconds of the middle round."""
        return statistics.median(self.seconds)


def take_turns(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, Turns]:
    """Prepares and warms up all, then lets each do the work once a round."""
    found = {name: Turns(told=_missing(contestant)) for name, contestant in contestants.items()}
    with ExitStack() as stack:
        processes = {}
        for name in [name for name, turns in found.items() if not turns.told]:
            processes[name] = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
            contestant = contestants[name]
            ready = processes[name].submit(_prepare, contestant.make, contestant.arguments)
            found[name].result = _outcome(found[name], ready)
        for _ in range(rounds):
            for name in [name for name in processes if not found[name].told]:
                seconds = _outcome(found[name], processes[name].submit(_once))
                found[name].seconds += [] if seconds is None else [seconds]
    return found


def rates(found: Mapping[str, Turns], count: int) -> dict[str, float | str]:
    """How many of `count` items a second each did, or why it did not."""
    return {f"{name}_per_s": turns.told or count / turns.median for name, turns in found.items()}


def ratio(found: Mapping[str, Turns], name: str, others: list[str]) -> float | None:
    """Rate of one over that of the fastest of others, the median over rounds; None where there are none."""
    there = [found[other].seconds for other in others if not found[other].told]
    if found[name].told or not there:
        return None
    fastest: list[float] = [min(seconds) for seconds in zip(*there, strict=True)]
    return statistics.median(a / b for a, b in zip(fastest, found[name].seconds, strict=True))


def least_cosine(found: Mapping[str, Turns], name: str, other: str) -> float | None:
    """Of one's vectors to another's, row by row; None where one has none."""
    if found[name].result is None or found[other].result is None:
        return None
    a, b = (np.asarray(found[each].result, np.float64) for each in (name, other))
    return float(np.min(np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))


def _missing(contestant: Contestant) -> str:
    absent = [package for package in contestant.packages if find_spec(package) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def _outcome(turns: Turns, future: Future[Any]) -> Any:
    """What a contestant's process gave; a failure is told of it and stops it alone."""
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 whatever a library raises
        turns.told = f"failed: {(str(error).splitlines() or [''])[0] or type(error).__name__}"
        return None


_work: Callable[[], Any]


def _prepare(make: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]) -> Any:
    global _work
    _work = make(*arguments)
    return _work()


def _once() -> float:
    began = time.perf_counter()
    _work()
    return time.perf_counter() - began
