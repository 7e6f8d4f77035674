"""The part of a run by its scheduler's word, and the parts that mend a store."""

from __future__ import annotations

import pytest

from huse.extract.parts import part_of_job, parts_to_run
from huse.features.errors import StoreError


def slurm(task: int, first: int, last: int, count: int, step: int | None = None) -> dict[str, str]:
    values = {"ID": task, "MIN": first, "MAX": last, "COUNT": count} | ({} if step is None else {"STEP": step})
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("environment", "part"),
    [
        (slurm(1, 1, 8, 8), (1, 8)),
        (slurm(8, 1, 8, 8), (8, 8)),
        (slurm(0, 0, 7, 8), (1, 8)),
        (slurm(7, 0, 7, 8, 1), (8, 8)),
        (slurm(10, 4, 13, 4, 3), (3, 4)),
        (slurm(5, 5, 5, 1), (1, 1)),
        ({"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "4"}, (3, 4)),
    ],
)
def test_slurm_tells_the_part_of_its_array(environment: dict[str, str], part: tuple[int, int]) -> None:
    assert part_of_job(environment) == part


def test_all_tasks_of_an_array_are_all_parts() -> None:
    assert [part_of_job(slurm(task, 0, 12, 5, 3)) for task in range(0, 15, 3)] == [(i, 5) for i in range(1, 6)]


def test_single_tasks_run_again_with_the_number_of_all() -> None:
    assert [part_of_job(slurm(task, 3, 5, 2), 8) for task in (3, 5)] == [(3, 8), (5, 8)]


def test_kubernetes_counts_from_0() -> None:
    assert [part_of_job({"JOB_COMPLETION_INDEX": str(i)}, 3) for i in range(3)] == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("environment", "parts", "said"),
    [
        ({}, None, "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set; name the part as I/N"),
        ({}, 4, "neither"),
        ({"JOB_COMPLETION_INDEX": "0"}, None, "write auto/N, with the job's completions"),
        ({"JOB_COMPLETION_INDEX": "4"}, 4, "makes this part 5 of 4"),
        ({"JOB_COMPLETION_INDEX": "x"}, 4, "JOB_COMPLETION_INDEX is 'x', no number"),
        (slurm(3, 3, 5, 2), None, "has gaps; write auto/N"),
        (slurm(5, 3, 5, 2), None, "has gaps; write auto/N"),
        (slurm(0, 0, 7, 8), 8, "makes this part 0 of 8"),
        (
            {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MIN": "1"},
            None,
            "SLURM_ARRAY_TASK_COUNT is not set; write auto/N",
        ),
        (slurm(1, 1, 8, 8, 0), None, "has gaps"),
    ],
)
def test_what_is_no_part_is_refused(environment: dict[str, str], parts: int | None, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        part_of_job(environment, parts)


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        ([], []),
        (["shard-00000.h5"], [1]),
        (["shard-00002.h5", "shard-00009.h5", "shard-00006.h5"], [2, 3]),
        (["classes.h5"], [1]),
        (["text_encoder.json", "shard-00003.h5"], [1, 4]),
        (["plan.json"], [1, 2, 3, 4]),
        (["foreign", "features/shard-00001.h5"], []),
    ],
)
def test_the_parts_that_mend_a_store(files: list[str], parts: list[int]) -> None:
    assert parts_to_run(dict.fromkeys(files, "damaged"), 4) == parts
