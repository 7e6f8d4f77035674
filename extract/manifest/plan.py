"""Pure: which manifest rows belong into which shard, given what is stored already."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.bytes_]
"""(n,) keys, or digests of keys."""

Positions = NDArray[np.intp]


def plan_shards(keys: Keys, stored: Mapping[int, Keys], shard_size: int) -> dict[int, Positions]:
    """Assigns every manifest row to one shard.

    A stored row stays in its shard, in its order. Rows not stored yet fill the free places, lowest shard first; so a
    run that was interrupted, or a manifest that grew at its end, leads to the shards of one uninterrupted run; and
    whichever planned shards are written, the plan stays the same.

    Args:
        keys: unique keys of the manifest, in order.
        stored: keys of each readable shard, by shard number; keys no longer in the manifest leave their shard.
        shard_size: most rows a shard.

    Returns:
        For each shard number, from 0 on without a gap, the positions in `keys` of its rows. Every position stands
        exactly once.
    """
    order = np.argsort(keys)
    free = np.ones(len(keys), bool)
    plan: dict[int, Positions] = {}
    for index, shard_keys in sorted(stored.items()):
        rows = _find(shard_keys, keys, order)
        plan[index] = rows[free[rows]]
        free[rows] = False
    waiting, index, none = np.flatnonzero(free), 0, order[:0]
    while len(waiting):
        there = plan.get(index, none)
        room = max(shard_size - len(there), 0)
        plan[index], waiting = np.concatenate([there, waiting[:room]]), waiting[room:]
        index += 1
    return {index: plan.get(index, none) for index in range(max(plan, default=-1) + 1)}


def digest_of_plan(plan: Mapping[int, Positions]) -> str:
    """Hexadecimal SHA-256 of which rows belong into which shard."""
    digest = hashlib.sha256()
    for number, rows in plan.items():
        digest.update(f"{number}:{len(rows)}\n".encode())
        digest.update(np.ascontiguousarray(rows, "<i8").data)
    return digest.hexdigest()


def part_of(plan: Mapping[int, Positions], part: int, parts: int) -> dict[int, Positions]:
    """The shards that run `part` of `parts` fills, counted from 1: every `parts`-th of the plan.

    Runs beside each other need no agreement: what others have written changes nobody's plan, see `plan_shards`.
    """
    return {index: rows for index, rows in plan.items() if is_of_part(index, part, parts)}


def is_of_part(index: int, part: int, parts: int) -> bool:
    """Whether run `part` of `parts` fills a shard."""
    return part_with(index, parts) == part


def part_with(index: int, parts: int) -> int:
    """The run, of so many and counted from 1, that fills a shard."""
    return index % parts + 1


def _find(wanted: Keys, keys: Keys, order: Positions) -> Positions:
    """Positions in `keys` of those wanted keys that are there, each once, in the order wanted."""
    if not len(keys):
        return order
    at = np.searchsorted(keys, wanted, sorter=order)
    candidates = order[np.minimum(at, len(keys) - 1)]
    found = candidates[keys[candidates] == wanted]
    return np.asarray(found[np.sort(np.unique(found, return_index=True)[1])])
