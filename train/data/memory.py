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

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def streaming_window(config: FitConfig, rows: int, row_bytes: int) -> int:
    """Rows a window when the features are to be streamed; 0 when they are to be resident.

    Args:
        config: `memory` and `memory_budget`.
        rows: training rows.
        row_bytes: size of a row's vectors.

    Raises:
        FitError: the budget does not hold windows of two batches.
    """
    budget = int(config.memory_budget * 2**30) or machine_memory() // 2
    if config.memory == "resident" or (config.memory == "auto" and COPIES * rows * row_bytes <= budget):
        return 0
    window = budget // (WINDOWS * max(row_bytes, 1))
    least = 2 * min(config.batch_size, rows)
    if window < least:
        needed = least * WINDOWS * row_bytes / 2**30
        raise FitError(
            f"memory_budget of {budget / 2**30:.3g} GiB holds windows of {window} rows, two batches are {least}; "
            f"give memory_budget={needed:.3g} (--memory-budget) or more, or a smaller batch_size (--batch-size)"
        )
    return window


def machine_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or less in a container that says so."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else [8 * 2**30]
    for path in map(Path, CGROUP_LIMITS):
        if path.exists() and (text := path.read_text(encoding="ascii").strip()).isdigit():
            limits.append(int(text))
    return min(limits)
