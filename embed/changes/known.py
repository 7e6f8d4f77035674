"""Keys of which something was said before, in memory, and which of them have been seen since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.delivered import Group, in_doubt, strings
from huse.features.extras import require


class Known:
    """What was said of some keys before, by their digests."""

    def __init__(self, groups: Sequence[Group], pending: list[str]) -> None:
        """Takes what was said of the rows of some shards.

        Args:
            groups: the rows.
            pending: keys that are in doubt, among these or not.
        """
        arrow = require("pyarrow", "parquet", "changes")
        waiting = in_doubt(strings(pending))
        groups = [*groups, in_doubt(strings([]))]
        ours = np.concatenate([group.key_digests for group in groups])
        said = np.concatenate([group.digests for group in groups])
        said[np.isin(ours, waiting.key_digests)] = b""
        others = ~np.isin(waiting.key_digests, ours)
        both = np.concatenate([ours, waiting.key_digests[others]])
        self._order = np.argsort(both)
        self._sorted = both[self._order]
        self._said = np.concatenate([said, waiting.digests[others]])[self._order]
        self._seen = np.zeros(len(both), bool)
        self._keys = arrow.chunked_array([*(group.keys for group in groups), waiting.keys.filter(arrow.array(others))])

    def holds(self, group: Group) -> NDArray[np.bool_]:
        """(n,) of which rows just this was said; notes that their keys have been seen."""
        if not len(self._sorted):
            return np.zeros(len(group.digests), bool)
        at = np.minimum(np.searchsorted(self._sorted, group.key_digests), len(self._sorted) - 1)
        there = self._sorted[at] == group.key_digests
        self._seen[at[there]] = True
        said = self._said[at]
        return np.asarray(there & (said == group.digests) & (said != b""))

    def unseen(self) -> Any:
        """The keys that have not been seen, as Arrow's strings."""
        return self._keys.take(np.sort(self._order[~self._seen]))
