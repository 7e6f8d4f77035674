from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from huse.extract.manifest import plan as planner


def plan_shards(keys: list[str], stored: dict[int, list[str]], size: int) -> dict[int, list[int]]:
    plan = planner.plan_shards(np.array(keys, "S2"), {i: np.array(k, "S2") for i, k in stored.items()}, size)
    return {index: rows.tolist() for index, rows in plan.items()}


sizes = st.integers(1, 7)


@given(n=st.integers(0, 60), size=sizes)
def test_a_new_store_is_cut_in_manifest_order(n: int, size: int) -> None:
    plan = plan_shards([str(i) for i in range(n)], {}, size)
    assert [row for rows in plan.values() for row in rows] == list(range(n))
    assert all(len(rows) == size for rows in list(plan.values())[:-1])
    assert list(plan) == list(range(len(plan)))


@given(n=st.integers(1, 60), size=sizes, data=st.data())
def test_any_interruption_leads_to_the_same_plan(n: int, size: int, data: st.DataObject) -> None:
    keys = [str(i) for i in range(n)]
    whole = plan_shards(keys, {}, size)
    done = data.draw(st.sets(st.sampled_from(sorted(whole))))
    stored = {index: [keys[row] for row in whole[index]] for index in done}
    assert plan_shards(keys, stored, size) == whole


stores = st.lists(st.lists(st.integers(0, 50), max_size=6), max_size=5)
manifests = st.lists(st.integers(0, 50), unique=True, max_size=50)


@given(stored=stores, keys=manifests, size=st.integers(6, 8), data=st.data())
def test_what_others_have_written_changes_nobodys_plan(
    stored: list[list[int]], keys: list[int], size: int, data: st.DataObject
) -> None:
    names = [str(key) for key in keys]
    there = {index: [str(key) for key in shard] for index, shard in enumerate(stored)}
    whole = plan_shards(names, there, size)
    done = data.draw(st.sets(st.sampled_from(sorted(whole)))) if whole else set()
    written = {index: [names[row] for row in whole[index]] for index in done}
    assert plan_shards(names, {**there, **written}, size) == whole


@given(stored=stores, keys=manifests, size=sizes, lost=st.sets(st.integers(0, 4)))
def test_a_lost_shard_leaves_no_gap(stored: list[list[int]], keys: list[int], size: int, lost: set[int]) -> None:
    names = [str(key) for key in keys]
    there = {index: [str(key) for key in shard] for index, shard in enumerate(stored) if index not in lost}
    plan = plan_shards(names, there, size)
    assert list(plan) == list(range(len(plan)))
    assert set(there) <= set(plan)
    assert sorted(row for rows in plan.values() for row in rows) == list(range(len(names)))


@given(n=st.integers(0, 60), size=sizes, parts=st.integers(1, 5))
def test_parts_share_the_plan(n: int, size: int, parts: int) -> None:
    plan = planner.plan_shards(np.array([str(i) for i in range(n)], "S2"), {}, size)
    shares = [planner.part_of(plan, part, parts) for part in range(1, parts + 1)]
    assert sorted(index for share in shares for index in share) == list(plan)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(n=st.integers(1, 40), more=st.integers(0, 20), size=sizes)
def test_a_grown_manifest_ends_as_a_new_one(n: int, more: int, size: int) -> None:
    keys = [str(i) for i in range(n + more)]
    before = plan_shards(keys[:n], {}, size)
    stored = {index: [keys[row] for row in rows] for index, rows in before.items()}
    assert plan_shards(keys, stored, size) == plan_shards(keys, {}, size)


@given(
    stored=stores,
    keys=manifests,
    size=sizes,
)
def test_every_row_stands_exactly_once_and_stored_rows_stay(
    stored: list[list[int]], keys: list[int], size: int
) -> None:
    names = [str(key) for key in keys]
    there = {index: [str(key) for key in shard] for index, shard in enumerate(stored)}
    plan = plan_shards(names, there, size)
    assert sorted(row for rows in plan.values() for row in rows) == list(range(len(names)))
    first_home = {key: index for index, shard in reversed(there.items()) for key in shard}
    for index, rows in plan.items():
        for row in rows:
            assert first_home.get(names[row], index) == index
