"""Rows of equal content: images of one product with one text, an image that stands twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huse.features.columns import DIGESTS, PRESENT
from huse.features.modality import Pair
from huse.features.store import Store

Digests = NDArray[np.uint8]

NAME_BYTES = 8
"""Of a digest, what content is told apart by: sorted far faster than all, and hardly ever equal by chance."""


def content_groups(digests: Pair[Digests]) -> NDArray[np.int32]:
    """(n,) first row of the group of each row: rows that share an image or a text, also by way of others, are one.

    Every row points to an earlier one of its group, or to itself: groups that share content are hooked together by
    their first rows, and pointers are followed, until nothing changes (Zhang, Azad and Hu, FastSV, 2020).

    Args:
        digests: of each modality (n, `NAME_BYTES` or more); zeros where a row has none, or nothing is known about it.
    """
    group = np.arange(len(digests.image), dtype=np.int32)
    shared = [_shared(_names(column)) for _, column in digests.items()]
    changed = True
    while changed:
        before = group.copy()
        for row, content in shared:
            least = np.full(content.max(initial=-1) + 1, len(group), np.int32)
            np.minimum.at(least, content, group[row])
            np.minimum.at(group, group[row], least[content])
        group = group[group]
        changed = bool((group != before).any())
    return group


def content_numbers(digests: Digests) -> NDArray[np.int32]:
    """(n,) the first row with the same image, or text, as each row; itself where nothing is known about it.

    Args:
        digests: of one modality (n, `NAME_BYTES` or more); zeros where a row has none.
    """
    number = np.arange(len(digests), dtype=np.int32)
    row, content = _shared(_names(digests))
    first = np.full(content.max(initial=-1) + 1, len(digests), np.int32)
    np.minimum.at(first, content, row)
    number[row] = first[content]
    return number


def _shared(names: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The rows whose name stands elsewhere too, and a number for each of these names."""
    ascending = np.sort(names)
    again = np.unique(ascending[1:][ascending[1:] == ascending[:-1]])
    number = np.searchsorted(again, names).astype(np.int32)
    row = np.flatnonzero((np.append(again, np.uint64(0))[number] == names) & (names != 0)).astype(np.int32)
    return row, number[row]


def rows_shared_with_training(store: Store, split: str) -> int | None:
    """How many rows of a split, of those that are measured, share their image or text with one that is trained on.

    Args:
        store: the rows; those of split ``train`` and those without a split are trained on.
        split: ``val`` or ``test``.

    Returns:
        The number, or None when the store does not know what its vectors were made of.
    """
    names = ("label", "split", PRESENT.image, PRESENT.text, DIGESTS.image, DIGESTS.text)
    parts = [store.columns(shard, names) for shard in store.ahead()]
    splits = np.concatenate([part["split"] for part in parts]).astype(str)
    measured = [(part["label"] != "") | (part[PRESENT.image] & part[PRESENT.text]) for part in parts]
    trained, asked = np.isin(splits, ("", "train")), (splits == split) & np.concatenate(measured)
    shared, known = np.zeros(len(splits), bool), False
    for _, name in DIGESTS.items():
        digests = np.concatenate([part[name] for part in parts])
        there = digests.any(axis=1)
        known |= bool(there.any())
        shared |= there & np.isin(_names(digests), _names(digests[trained & there]))
    return int((shared & asked).sum()) if known else None


def _names(digests: Digests) -> NDArray[np.uint64]:
    """(n,) the first bytes of each digest as one number."""
    return np.ascontiguousarray(digests[:, :NAME_BYTES]).view(np.uint64).ravel()
