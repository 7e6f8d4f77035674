"""Rows that a test should not see: the same image or text in more than one split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huse.features.columns import DIGESTS
from huse.features.store import Store


@dataclass(frozen=True)
class Leak:
    """One image or text that stands in several splits.

    Attributes:
        modality: ``image`` or ``text``.
        rows: key and split of each row that has it, in order of splits and keys.
    """

    modality: str
    rows: list[tuple[str, str]]


def find_leaks(store: Store) -> list[Leak]:
    """The images and texts that stand in more than one split, known by their content digests.

    Rows without a split count as ``train``, as `huse fit` takes them.

    Raises:
        StoreError: shards are missing.
        ShardError: a shard is damaged.
    """
    store.require_whole()
    names = ("key", "split", DIGESTS.image, DIGESTS.text)
    parts = [store.columns(number, names) for number in store.ahead()]
    key, split = (np.concatenate([part[name] for part in parts]).astype(str) for name in ("key", "split"))
    split = np.where(split == "", "train", split)
    leaks = []
    for modality, column in DIGESTS.items():
        digests = np.concatenate([part[column] for part in parts])
        for members in _equal(digests):
            if len(set(split[members])) > 1:
                rows = sorted(zip(split[members], key[members], strict=True))
                leaks.append(Leak(modality, [(str(name), str(where)) for where, name in rows]))
    return leaks


def _equal(digests: NDArray[np.uint8]) -> Iterator[NDArray[np.intp]]:
    """Positions of each digest that stands more than once; all zeros is none."""
    there = np.flatnonzero(digests.any(axis=1))
    if not len(there):
        return
    names = np.ascontiguousarray(digests[there]).view(f"S{digests.shape[1]}").ravel()
    order = np.argsort(names, kind="stable")
    starts = np.flatnonzero(np.append(True, names[order[1:]] != names[order[:-1]]))
    stops = np.append(starts[1:], len(order))
    for start, stop in zip(starts, stops, strict=True):
        if stop - start > 1:
            yield there[order[start:stop]]
