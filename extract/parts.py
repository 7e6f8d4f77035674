"""Which part of a store a run fills, by what its scheduler says, and which parts are to run again."""

from __future__ import annotations

from collections.abc import Mapping

from huse.extract.manifest.plan import part_with
from huse.features.companions import CLASS_FILES, ENCODER_STATE_FILE, PLAN_FILE
from huse.features.errors import StoreError
from huse.features.settings import SETTINGS_FILE
from huse.features.shards.names import shard_number

SLURM, KUBERNETES = "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"


def part_of_job(environment: Mapping[str, str], parts: int | None = None) -> tuple[int, int]:
    """The part that a task of an array job of Slurm, or of an indexed job of Kubernetes, is to fill.

    Args:
        environment: variables that the scheduler has set.
        parts: how many there are. An array of Slurm tells; with the number, its task i fills part i, so that single
            tasks can be run again.

    Raises:
        StoreError: no scheduler has set anything, or what it has set is no part.
    """
    if SLURM in environment:
        return _of_slurm(environment) if parts is None else _part(SLURM, _number(environment, SLURM), parts)
    if KUBERNETES not in environment:
        raise StoreError(f"neither {SLURM} nor {KUBERNETES} is set; name the part as I/N, such as 1/4")
    if parts is None:
        raise StoreError(f"{KUBERNETES} tells no number of parts; write auto/N, with the job's completions as N")
    return _part(KUBERNETES, _number(environment, KUBERNETES) + 1, parts)


def parts_to_run(problems: Mapping[str, str], parts: int) -> list[int]:
    """The parts, of so many, that mend what is wrong with a store, from 1 on, ascending.

    Args:
        problems: by file, see `verify_store`.
        parts: how many runs fill the store.
    """
    if PLAN_FILE in problems:  # nobody knows which shards are missing
        return list(range(1, parts + 1))
    found = {part_with(number, parts) for number in map(shard_number, problems) if number is not None}
    return sorted(found | ({1} if problems.keys() & {ENCODER_STATE_FILE, SETTINGS_FILE, *CLASS_FILES} else set()))


def _of_slurm(environment: Mapping[str, str]) -> tuple[int, int]:
    first, last, step = (
        _number(environment, f"SLURM_ARRAY_TASK_{name}", default)
        for name, default in (("MIN", 1), ("MAX", 0), ("STEP", 1))
    )
    count, task = _number(environment, "SLURM_ARRAY_TASK_COUNT"), _number(environment, SLURM)
    even = step > 0 and (task - first) % step == 0 and last in (0, first + (count - 1) * step)
    if not even:
        raise StoreError("this array of Slurm has gaps; write auto/N, N being the tasks of the array 1-N it is part of")
    return _part(SLURM, (task - first) // step + 1, count)


def _part(name: str, part: int, parts: int) -> tuple[int, int]:
    if not 1 <= part <= parts:
        raise StoreError(f"{name} makes this part {part} of {parts}; there are parts 1 to {parts}")
    return part, parts


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    written = environment.get(name, default)
    if written is None:
        raise StoreError(f"{name} is not set; write auto/N, with the number of parts as N, or the part as I/N")
    try:
        return int(written)
    except ValueError as error:
        raise StoreError(f"{name} is {written!r}, no number; name the part as I/N, such as 1/4") from error
