"""Commands run in processes of their own, killed or short of disk, and what they leave judged."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.count import Count
from huse.features.errors import HuseError

SECONDS = 120
"""How long a child may take before it counts as hanging."""


@dataclass(frozen=True)
class Scenario:
    """A command, run in a folder of its own.

    Attributes:
        name: of the command.
        prepare: makes what the command reads.
        run: the command, in the folder that is the working directory.
        content: a digest of what it made; raises what huse raises when that is not whole, or is not there.
    """

    name: str
    prepare: Callable[[], None]
    run: Callable[[], Any]
    content: Callable[[], str]


def in_child(work: Callable[[], Any], kill_after: float | None = None, most_bytes: int = 0) -> Any:
    """What some work returns, or the exception that it raises, in a process of its own.

    Args:
        work: its result can be pickled.
        kill_after: seconds after which the process is killed; then None, unless it was faster.
        most_bytes: largest file that it can write, as on a disk that fills up; 0 for any.

    Raises:
        TimeoutError: it hangs.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads; the parent runs no TensorFlow
        child = os.fork()
    if child == 0:
        os.close(reading)
        result: Any = RuntimeError("the process died")
        try:
            if most_bytes:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
            result = work()
        except BaseException as error:  # noqa: BLE001 - the parent is told whatever it is
            result = error if isinstance(error, OSError | HuseError) else RuntimeError(repr(error))
        finally:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(pickle.dumps(result))
            os._exit(0)
    os.close(writing)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    else:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with os.fdopen(reading, "rb") as pipe:
            data = pipe.read()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _, status = os.waitpid(child, 0)
    if data:
        return pickle.loads(data)
    return None if kill_after is not None else RuntimeError(f"the process ended with {status}")


class Workshop:
    """Folders in which a scenario is run again and again, each time on fresh copies of what it reads."""

    def __init__(self, scenario: Scenario, where: Path) -> None:
        self.scenario = scenario
        self.where = where
        self.inputs = where / "inputs"
        self.inputs.mkdir()
        self.done(self.inputs, scenario.prepare)
        folder = self.fresh()
        began = time.perf_counter()
        self.done(folder, scenario.run)
        self.seconds = time.perf_counter() - began
        self.expected = self.done(folder, scenario.content)

    def fresh(self) -> Path:
        """A new folder with the inputs."""
        folder = self.where / "run"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.inputs, folder)
        return folder

    def run(self, folder: Path, work: Callable[[], Any], **how: Any) -> Any:
        """Some work in a folder, in a child; returns what it returns or raises."""

        def there() -> Any:
            os.chdir(folder)
            return work()

        return in_child(there, **how)

    def done(self, folder: Path, work: Callable[[], Any]) -> Any:
        """As `run`, for work that must succeed."""
        result = self.run(folder, work)
        if isinstance(result, BaseException):
            raise RuntimeError(f"{self.scenario.name}: {result}") from result
        return result

    def judge(self, folder: Path, count: Count, what: str) -> None:
        """Looks at what a fault left, then runs the command again and looks once more."""
        count.tries += 1
        left = self.run(folder, self.scenario.content)
        if isinstance(left, str) and left != self.expected:
            count.wrong += 1
            count.told.append(f"{what}: something else passed for whole")
        again = None if left == self.expected else self.run(folder, self.scenario.run)
        after = self.run(folder, self.scenario.content)
        if isinstance(again, BaseException) or after != self.expected:
            count.lost += 1
            count.told.append(f"{what}: run again: {again!r}, then {after!r}")
        traces = [entry.name for entry in folder.rglob(".*") if entry.name.endswith((".tmp", ".old"))]
        if traces:
            count.lost += 1
            count.told.append(f"{what}: left {traces}")
