"""Rows of equal content: images of one product with one text, an image that stands twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from huse.features.modality import Pair
from huse.features.shards.columns import DIGESTS
from huse.features.store import Store

Digests = NDArray[np.uint8]


def content_groups(digests: Pair[Digests]) -> NDArray[np.int32]:
    """(n,) number of the group of each row: rows that share an image or a text, also by way of others, are one.

    Args:
        digests: of each modality (n, 16); zeros where a row has none, or nothing is known about it.
    """
    n = len(digests.image)
    row, content, offset = [], [], n
    for _, column in digests.items():
        known = np.flatnonzero(column.any(axis=1))
        number = np.unique(_names(column[known]), return_inverse=True)[1].ravel()
        row.append(known)
        content.append(number + offset)
        offset += int(number.max(initial=-1)) + 1
    edges = np.concatenate(row), np.concatenate(content)
    graph = coo_matrix((np.ones(len(edges[0]), bool), edges), shape=(offset, offset))
    return np.asarray(connected_components(graph, directed=False)[1][:n], np.int32)


def rows_shared_with_training(store: Store, split: str) -> int | None:
    """How many labeled rows of a split share their image or their text with a row that is trained on.

    Args:
        store: the rows; those of split ``train`` and those without a split are trained on.
        split: ``val`` or ``test``.

    Returns:
        The number, or None when the store does not know what its vectors were made of.
    """
    names = ("label", "split", DIGESTS.image, DIGESTS.text)
    parts = [store.columns(index, names) for index in store.shard_numbers()]
    splits, labels = (np.concatenate([part[name] for part in parts]).astype(str) for name in ("split", "label"))
    trained, asked = np.isin(splits, ("", "train")), (splits == split) & (labels != "")
    shared, known = np.zeros(len(splits), bool), False
    for _, name in DIGESTS.items():
        digests = np.concatenate([part[name] for part in parts])
        there = digests.any(axis=1)
        known |= bool(there.any())
        shared |= there & np.isin(_names(digests), _names(digests[trained & there]))
    return int((shared & asked).sum()) if known else None


def _names(digests: Digests) -> NDArray[np.uint64]:
    """(n,) the first 64 bits of each digest: sorted far faster, and hardly ever equal by chance."""
    return np.ascontiguousarray(digests[:, :8]).view(np.uint64).ravel()
