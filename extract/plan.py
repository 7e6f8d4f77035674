"""Pure: which manifest rows belong into which shard, given what is stored already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def plan_shards(keys: Sequence[str], stored: Mapping[int, Sequence[str]], shard_size: int) -> dict[int, list[int]]:
    """Assigns every manifest row to one shard.

    A stored row stays in its shard, in its order. Rows not stored yet fill the free places, lowest shard first; so a
    run that was interrupted, or a manifest that grew at its end, leads to the shards of one uninterrupted run.

    Args:
        keys: unique keys of the manifest, in order.
        stored: keys of each readable shard, by shard number; keys no longer in the manifest leave their shard.
        shard_size: most rows a shard.

    Returns:
        For each shard number the positions in `keys` of its rows. Every position stands exactly once.
    """
    position = {key: i for i, key in enumerate(keys)}
    plan: dict[int, list[int]] = {}
    placed: set[int] = set()
    for index, shard_keys in sorted(stored.items()):
        there = dict.fromkeys(position[key] for key in shard_keys if key in position)
        plan[index] = [row for row in there if row not in placed]
        placed.update(plan[index])
    index = 0
    for row in (row for row in range(len(keys)) if row not in placed):
        while len(plan.setdefault(index, [])) >= shard_size:
            index += 1
        plan[index].append(row)
    return dict(sorted(plan.items()))
