"""The names of the numbered files of a store: each shard, and beside it how its images looked."""

from __future__ import annotations

import re

_NUMBERED = re.compile(r"(shard|looks)-(\d{5,})\.h5")


def shard_name(number: int) -> str:
    """The name of a shard's file."""
    return f"shard-{number:05d}.h5"


def looks_name(shard: str) -> str:
    """The name of the file of a shard's looks, by that of the shard's."""
    return f"looks-{shard.removeprefix('shard-')}"


def shard_number(name: str) -> int | None:
    """The number of the shard that a file of this name is; None when it is none."""
    found = _NUMBERED.fullmatch(name)
    return int(found[2]) if found and found[1] == "shard" else None


def is_numbered(name: str) -> bool:
    """Whether a file of this name is a shard or its looks."""
    return bool(_NUMBERED.fullmatch(name))
