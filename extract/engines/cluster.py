"""A Ray cluster as a run finds it: how to get there, how much room it has, and what its nodes see and can do."""

from __future__ import annotations

import logging
import os
import platform
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from huse import __version__
from huse.extract.config import ExtractConfig
from huse.extract.encoders.arithmetic import Processor
from huse.features.errors import ClusterError, StoreError
from huse.features.extras import require
from huse.features.files.atomic import temporary_beside
from huse.features.files.folders import require_place
from huse.features.files.place import is_remote

CONNECT_SECONDS = 10
SEEN_SECONDS = 10
"""How long a new file may take until other machines see it, as by NFS."""


@contextmanager
def connected(config: ExtractConfig) -> Iterator[Any]:
    """Yields the module `ray`, connected to the cluster of a configuration; a connection that is there is kept.

    Raises:
        ExtraError: ray is not installed.
        ClusterError: no cluster is where the configuration says.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # workers hide GPUs themselves; else it warns
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of a cluster that is started for the run
    ray = require("ray", "ray", "engine='ray' (--engine ray)")
    require("ray.util.scheduling_strategies", "ray", "engine='ray' (--engine ray)")
    if ray.is_initialized():
        yield ray
        return
    address = config.ray_address or os.environ.get("RAY_ADDRESS", "")
    _require_answer(address)
    try:
        ray.init(address or None, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, RuntimeError, ValueError, SystemExit) as error:  # Ray ends the process when none answers
        reason = (str(error).splitlines() or [""])[0]
        raise ClusterError(
            f"no Ray cluster is reached ({reason}); ray start --head starts one on this machine, ray stop ends what "
            "is left of an earlier one; another is named by ray_address (--ray-address)"
        ) from error
    try:
        with redirect_stdout(sys.stderr):  # where Ray says what has died; standard output is for results
            yield ray
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Refuses an address where nothing listens, for which Ray would wait for minutes."""
    if address in ("", "auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ClusterError(f"ray_address={address!r} (--ray-address): is neither auto nor HOST:PORT of the head node")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ClusterError(
            f"ray_address={address} (--ray-address): no Ray cluster answers there ({reason}); ray status on a node of "
            "it, or ray start --head, tells the address"
        ) from error


@dataclass(frozen=True)
class Room:
    """What a worker takes, and where there is room for one.

    Attributes:
        cpus: processors a worker.
        gpus: GPUs a worker.
        nodes: how many workers each node can hold, by its id.
    """

    cpus: int
    gpus: float
    nodes: dict[str, int]

    def __str__(self) -> str:
        return f"{self.cpus} processors" + (f" and {self.gpus:g} GPUs" if self.gpus else "")

    @classmethod
    def of(cls, config: ExtractConfig, resources: dict[str, dict[str, float]]) -> Room:
        """The room on nodes with some resources, as Ray names them.

        Raises:
            ClusterError: not one worker fits.
        """
        there = {node: (int(has.get("CPU", 0)), has.get("GPU", 0.0)) for node, has in resources.items()}
        gpus = config.gpus_per_worker
        if gpus is None:
            gpus = 1.0 if any(has >= 1 for _, has in there.values()) else 0.0
        fitting = [has // gpus if gpus else 1 for _, has in there.values()]
        shares = [cpus // n for (cpus, _), n in zip(there.values(), fitting, strict=True) if n and cpus]
        each = config.cpus_per_worker or max(int(min(shares, default=1)), 1)
        room = {n: int(min(cpus // each, has // gpus if gpus else cpus // each)) for n, (cpus, has) in there.items()}
        if not any(room.values()):
            raise ClusterError(
                f"no node of the cluster has {cls(each, gpus, room)} for a worker; lower cpus_per_worker "
                "(--cpus-per-worker) or gpus_per_worker (--gpus-per-worker)"
            )
        return cls(each, gpus, {node: n for node, n in room.items() if n})


def room_of(ray: Any, config: ExtractConfig) -> Room:
    """The room on the nodes that live; errors as `Room.of`."""
    return Room.of(config, {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]})


def survey(ray: Any, room: Room, place: Path, seen: Sequence[Path]) -> list[Processor]:
    """Asks every node with room what it can do.

    Args:
        ray: the module, connected.
        room: where workers may be.
        place: folder that all are to write to; need not be there.
        seen: files that all are to read.

    Raises:
        ClusterError: one does not see the place that is to be written, or a file; or cannot run this huse.
    """
    while not is_remote(place) and not place.exists():
        place = place.parent
    probe, token = temporary_beside(place / "probe"), uuid4().hex
    pinned, look = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy, ray.remote(_look)
    each = [
        {"scheduling_strategy": pinned(node, soft=False), "num_cpus": 0, "num_gpus": room.gpus} for node in room.nodes
    ]
    try:
        probe.write_text(token, encoding="utf-8")
        asked = [look.options(**options).remote(__version__, probe, token, seen, SEEN_SECONDS) for options in each]
        answers: list[tuple[Processor, str]] = ray.get(asked)
    except ray.exceptions.RayError as error:
        reason = next(filter(None, reversed(str(error).splitlines())), "")
        raise ClusterError(f"a node cannot run huse ({reason}); install it on all nodes, of this version") from error
    finally:
        probe.unlink(missing_ok=True)
    for _, problem in answers:
        if problem:
            raise ClusterError(problem)
    return [processor for processor, _ in answers]


def _look(version: str, probe: Path, token: str, seen: Sequence[Path], seconds: float) -> tuple[Processor, str]:
    """On a node: its processor, and what speaks against it, with the way out."""
    import ray

    problem = _unseen(probe, token, seen, seconds)
    if version != __version__:
        problem = f"node {platform.node()} has huse {__version__}, the driver {version}; install one on all nodes"
    return Processor.here(gpu=bool(ray.get_gpu_ids())), problem


def _unseen(probe: Path, token: str, seen: Sequence[Path], seconds: float) -> str:
    node, until = platform.node(), time.monotonic() + seconds
    while not _holds(probe, token):
        if time.monotonic() > until:
            return (
                f"{probe.parent}: node {node} does not see what is written there; name a folder of a disk that all "
                "nodes mount at the same path, or a URL of an object store that they may read"
            )
        time.sleep(0.5)
    for file in seen:
        if not file.exists():
            return f"{file}: node {node} does not see it; put it where all nodes see it at the same path"
    try:
        require_place(probe.parent, StoreError)
    except StoreError as error:
        return f"node {node}: {error}"
    return ""


def _holds(probe: Path, token: str) -> bool:
    with suppress(OSError):
        return probe.read_text(encoding="utf-8") == token
    return False
