"""The workers of a run on Ray: each does one unit after the other, and what dies is replaced."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pickle import PicklingError
from typing import Any, Protocol

from huse.extract.config import ExtractConfig
from huse.extract.engines.cluster import Room
from huse.extract.engines.units import Units
from huse.extract.manifest.notices import notify
from huse.features.errors import ClusterError, HuseError
from huse.features.interrupt import interruptible

NOTICE_SECONDS = 30
"""How long there may be no worker before that is said."""

ENDING_SECONDS = 10
"""How long workers that are ended are waited for, so that what they were writing can be swept."""


class Job(Protocol):
    """What a worker is told at its beginning."""

    def begin(self, cpus: int) -> Callable[[Any], Any]:
        """Makes, with so many processors, what a unit is given to; its result is small."""
        ...


def sent(ray: Any, job: Job) -> Any:
    """A job where workers can fetch it.

    Raises:
        ClusterError: it holds something that cannot travel, such as an encoder that was handed in.
    """
    try:
        return ray.put(job)
    except (TypeError, ValueError, AttributeError, PicklingError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise ClusterError(
            f"an encoder that was handed in cannot travel to workers ({reason}); name it, or let it load what it needs "
            "when it encodes first"
        ) from error


class Worker:
    """A process of the cluster.

    Args:
        cpus: processors it has.
        gpus: GPUs it has.
    """

    def __init__(self, cpus: int, gpus: float) -> None:
        self._cpus = cpus
        os.environ.update(_environment(cpus, gpus))  # before TensorFlow is loaded, as a job may do when it comes

    def begin(self, job: Job) -> None:
        """Loads what all units need."""
        self._fill = job.begin(self._cpus)

    def fill(self, unit: Any) -> Any:
        """Does one unit."""
        return self._fill(unit)


def _environment(cpus: int, gpus: float) -> dict[str, str]:
    """What tells TensorFlow that it does not have the whole machine."""
    told = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": str(cpus)}
    if not gpus:
        told["CUDA_VISIBLE_DEVICES"] = ""
    if gpus % 1:  # others are on the same GPU, of which it would take all memory
        told["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    return told


class Crew:
    """The workers of a run, as a context; all are ended with it.

    Args:
        ray: the module, connected.
        room: what a worker takes, and where there is room.
        config: how many workers, and how many tries.
        job: what they are told, as `sent`.
        sizes: how large each unit is, by its number.

    Attributes:
        ready: how many work, or could.
    """

    def __init__(self, ray: Any, room: Room, config: ExtractConfig, job: Any, sizes: Mapping[int, int]) -> None:
        self.ready = 0
        self._ray, self._room, self._tries = ray, room, 1 + config.max_retries
        self._units = Units(sizes, self._tries)
        least, most = (1, config.workers) if isinstance(config.workers, int) else config.workers
        self._most = min(most or sum(room.nodes.values()), len(sizes))
        self._wanted = min(max(least, 1), self._most)
        self._job = job
        self._idle: list[Any] = []
        # by what is waited for: a worker, and its unit once it has begun
        self._busy: dict[Any, tuple[Any, int | None]] = {}
        self._stillborn = 0

    def __enter__(self) -> Crew:
        for _ in range(self._most):
            self._hire()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            self._ray.kill(worker)
        if self._busy:
            self._ray.wait(list(self._busy), num_returns=len(self._busy), timeout=ENDING_SECONDS)

    def work(self, unit: Callable[[int], Any]) -> Iterator[tuple[int, Any]]:
        """Yields the number and the result of each unit when it is done.

        Args:
            unit: gives one by its number, when a worker is free for it.

        Raises:
            ClusterError: workers die before they begin, or units could not be done; others are done before that is
                said.
            HuseError: as the job raises it.
        """
        units = self._units
        with interruptible() as check:
            while units.lacking:
                check()
                self._hand_out(unit)
                done, _ = self._ray.wait(list(self._busy), timeout=NOTICE_SECONDS)
                for reference in done:
                    number, result, problem = self._returned(reference)
                    if number is not None and problem:
                        units.failed(number, problem)
                    elif number is not None and units.done(number):
                        yield number, result
                if not done:
                    self._tell_waiting()
        units.require_all()

    def _tell_waiting(self) -> None:
        least = max(self._wanted, 1)
        if self.ready >= least:
            return
        way_out = "lower MIN of workers (--workers), or let the cluster grow; " if least > 1 else ""
        notify(
            f"waiting for {least - self.ready} of {least} workers, of {self._room} each; {way_out}Ctrl-C ends the run"
        )

    def _hire(self) -> None:
        room = self._room
        worker = self._ray.remote(Worker).options(num_cpus=room.cpus, num_gpus=room.gpus).remote(room.cpus, room.gpus)
        self._busy[worker.begin.remote(self._job)] = worker, None

    def _hand_out(self, unit: Callable[[int], Any]) -> None:
        if self.ready < self._wanted:
            return
        self._wanted = 0  # that so many begin is waited for once; if some die, the others go on
        while self._idle:
            number = self._units.next([number for _, number in self._busy.values() if number is not None])
            if number is None:
                return
            worker = self._idle.pop()
            self._busy[worker.fill.remote(unit(number))] = worker, number

    def _returned(self, reference: Any) -> tuple[int | None, Any, str]:
        """The unit that a worker had, its result, and what went wrong if there is none."""
        worker, number = self._busy.pop(reference)
        try:
            result = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)  # what a worker that lives has raised
            if isinstance(cause, HuseError):
                raise cause from None
            problem = f"{type(cause).__name__}: {cause}" if cause else f"its worker died: {type(error).__name__}"
            self._replace(worker, number, problem)
            return number, None, problem
        self._idle.append(worker)
        self._stillborn = 0
        self.ready += number is None
        return number, result, ""

    def _replace(self, worker: Any, number: int | None, problem: str) -> None:
        """Another worker in the place of one that died, or that may be in any state."""
        self._ray.kill(worker)
        self.ready -= number is not None
        self._stillborn += number is None
        if self._stillborn >= self._tries:
            raise ClusterError(f"{self._stillborn} workers ended before they began ({problem}); ray logs tells more")
        self._hire()
