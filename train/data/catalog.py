"""Which labeled rows a store has: a few numbers a row, and none of the vectors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.columns import DIGESTS, PRESENT
from huse.features.modality import Pair
from huse.features.store import Store
from huse.train.data.groups import NAME_BYTES, content_groups, content_numbers

KEPT = ("", "train", "val")
COLUMNS = ("key", "label", "split", PRESENT.image, PRESENT.text, DIGESTS.image, DIGESTS.text)


@dataclass(frozen=True)
class Catalog:
    """n rows to train and validate on: those that have a label and an image or a text, in the order of their shards.

    Attributes:
        labels: the label paths that occur, sorted.
        label: (n,) number of each row's label in `labels`.
        split: (n,) number of each row's split in `KEPT`; other splits are left out.
        shard: (n,) number of the shard.
        position: (n,) row number in that shard.
        present: (n,) for each modality, which rows have it.
        content: (n,) for each modality, first of the rows with the same content, see `content_numbers`.
        group: (n,) first of the rows that share content with each row, see `content_groups`.
    """

    labels: list[str]
    label: NDArray[np.int32]
    split: NDArray[np.int8]
    shard: NDArray[np.int32]
    position: NDArray[np.int32]
    present: Pair[NDArray[np.bool_]]
    content: Pair[NDArray[np.int32]]
    group: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def of(cls, store: Store) -> Catalog:
        """The catalog of a store, read shard by shard; says how many rows have no label.

        Raises:
            ShardError: a shard is damaged.
        """
        number: dict[str, int] = {}
        parts = list(_parts(store, number))
        joined = {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
        labels = sorted(number)
        position = np.zeros(len(labels), np.int32)
        position[[number[name] for name in labels]] = np.arange(len(labels))
        digests = DIGESTS.map(joined.pop)
        return cls(
            labels=labels,
            label=position[joined["label"]],
            split=joined["split"],
            shard=joined["shard"],
            position=joined["position"],
            present=PRESENT.map(joined.__getitem__),
            content=digests.map(content_numbers),
            group=content_groups(digests),
        )

    def of_split(self, *names: str) -> NDArray[np.bool_]:
        """(n,) mask of the rows of some splits."""
        return np.isin(self.split, [KEPT.index(name) for name in names])


def _parts(store: Store, number: dict[str, int]) -> Iterator[dict[str, NDArray[Any]]]:
    """The columns of each shard's rows; labels are numbered as they come, and of digests the first bytes are kept."""
    unlabeled, first = 0, ""
    for shard in store.ahead():
        columns = store.columns(shard, COLUMNS)
        label, split = columns["label"], columns["split"]
        usable = (columns[PRESENT.image] | columns[PRESENT.text]) & np.isin(split.astype(str), KEPT)
        missing = np.flatnonzero(usable & (label == ""))
        if len(missing) and not unlabeled:
            first = columns["key"][missing[0]]
        unlabeled += len(missing)
        position = np.flatnonzero(usable & (label != "")).astype(np.int32)
        yield {
            "label": np.array([number.setdefault(name, len(number)) for name in label[position]], np.int32),
            "split": np.array([KEPT.index(name) for name in split[position]], np.int8),
            "shard": np.full(len(position), shard, np.int32),
            "position": position,
            **{name: columns[name][position] for _, name in PRESENT.items()},
            **{name: columns[name][position, :NAME_BYTES] for _, name in DIGESTS.items()},
        }
    if unlabeled:
        warnings.warn(
            f"{unlabeled} rows have no label, the first is key {first!r}; they are not trained on", stacklevel=5
        )
