"""Whether the features of a fit stay in memory or are streamed from their shards."""

from __future__ import annotations

import os
from pathlib import Path

from huse.features.errors import FitError
from huse.train.config import FitConfig

COPIES = 3
"""Memory that resident features take, in multiples of their size: on the host, on the device, and while loading."""

WINDOWS = 4
"""Windows that streaming holds at a time: one in training, its copy on the device, one waiting, one being read."""

WINDOW_NUMBERS = 24
"""Bytes a row of each of them beside its vectors: label, masks, contents, and a share of the order."""

PREPARED, HELD = 90, 48
"""Bytes that every row takes, wherever its vectors are, until training begins, and from then on: where it lies, label,
masks, contents and their group, and the order of an epoch (`python -m benchmarks.streamed` measures both)."""

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def streaming_window(config: FitConfig, rows: int, row_bytes: int, resident: int = 0) -> int:
    """Rows a window when the features are to be streamed; 0 when they are to be resident.

    Args:
        config: `memory` and `memory_budget`.
        rows: rows to train and validate on.
        row_bytes: size of a row's vectors.
        resident: how many of the rows are in memory all the time, to validate on.

    Raises:
        FitError: the budget does not hold what every row takes, and windows of two batches.
    """
    budget = int(config.memory_budget * 2**30) or machine_memory() // 2
    if config.memory == "resident" or (config.memory == "auto" and COPIES * rows * row_bytes <= budget):
        return 0
    always, in_windows = HELD * rows + resident * row_bytes, WINDOWS * (row_bytes + WINDOW_NUMBERS)
    least = 2 * min(config.batch_size, rows)
    needed = max(PREPARED * rows, always + least * in_windows)
    if budget < needed:
        raise FitError(
            f"memory_budget of {budget / 2**30:.3g} GiB is too small for {rows} rows and windows of two batches, "
            f"{least} rows; give memory_budget={_rounded_up(needed / 2**30)} (--memory-budget) or more, "
            "or a smaller batch_size (--batch-size)"
        )
    return (budget - always) // in_windows


def _rounded_up(value: float) -> str:
    """A number of three digits that is at least `value`."""
    return f"{value * 1.01:.3g}"


def machine_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or less in a container that says so."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else [8 * 2**30]
    for path in map(Path, CGROUP_LIMITS):
        if path.exists() and (text := path.read_text(encoding="ascii").strip()).isdigit():
            limits.append(int(text))
    return min(limits)
