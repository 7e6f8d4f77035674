"""Which labeled rows a store has: a few numbers a row, and none of the vectors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huse.features.modality import Pair
from huse.features.shards.columns import DIGESTS, PRESENT
from huse.features.store import Store
from huse.train.data.groups import content_groups

SPLITS = ("", "train", "val", "test")
OF_BOTH = (PRESENT.image, PRESENT.text, DIGESTS.image, DIGESTS.text)
COLUMNS = ("key", "label", "split", *OF_BOTH)


@dataclass(frozen=True)
class Catalog:
    """n rows that have a label and an image or a text, in the order of their shards.

    Attributes:
        labels: the label paths that occur, sorted.
        label: (n,) number of each row's label in `labels`.
        split: (n,) number of each row's split in `SPLITS`; other splits are left out.
        shard: (n,) number of the shard.
        place: (n,) row number in that shard.
        present: (n,) for each modality, which rows have it.
        group: (n,) number of the rows of equal content that each row belongs to, see `content_groups`.
    """

    labels: list[str]
    label: NDArray[np.int32]
    split: NDArray[np.int8]
    shard: NDArray[np.int32]
    place: NDArray[np.int32]
    present: Pair[NDArray[np.bool_]]
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
        parts, unlabeled = [], _Unlabeled()
        for index in store.shard_numbers():
            columns = store.columns(index, COLUMNS)
            label, split = columns["label"], columns["split"]
            usable = (columns[PRESENT.image] | columns[PRESENT.text]) & np.isin(split.astype(str), SPLITS)
            unlabeled.count(columns["key"][usable & (label == "") & (split != "test")])
            place = np.flatnonzero(usable & (label != ""))
            parts.append(
                {
                    "label": np.array([number.setdefault(name, len(number)) for name in label[place]], np.int32),
                    "split": np.array([SPLITS.index(name) for name in split[place]], np.int8),
                    "shard": np.full(len(place), index, np.int32),
                    "place": place.astype(np.int32),
                    **{name: columns[name][place] for name in OF_BOTH},
                }
            )
        unlabeled.warn()
        labels = sorted(number)
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        sorted_number = np.zeros(len(labels), np.int32)
        sorted_number[[number[name] for name in labels]] = np.arange(len(labels))
        return cls(
            labels=labels,
            label=sorted_number[joined["label"]],
            split=joined["split"],
            shard=joined["shard"],
            place=joined["place"],
            present=PRESENT.map(joined.__getitem__),
            group=content_groups(DIGESTS.map(joined.__getitem__)),
        )

    def of_split(self, *names: str) -> NDArray[np.bool_]:
        """(n,) mask of the rows of some splits."""
        return np.isin(self.split, [SPLITS.index(name) for name in names])

    def take(self, mask: NDArray[np.bool_]) -> Catalog:
        """The rows of a mask, with the labels that still occur."""
        used, label = np.unique(self.label[mask], return_inverse=True)
        return Catalog(
            labels=[self.labels[i] for i in used],
            label=label.astype(np.int32),
            split=self.split[mask],
            shard=self.shard[mask],
            place=self.place[mask],
            present=self.present.map(lambda has: has[mask]),
            group=self.group[mask],
        )


class _Unlabeled:
    """Counts rows without a label and remembers the first."""

    def __init__(self) -> None:
        self.rows = 0
        self.first = ""

    def count(self, keys: NDArray[np.object_]) -> None:
        if len(keys) and not self.rows:
            self.first = keys[0]
        self.rows += len(keys)

    def warn(self) -> None:
        if self.rows:
            warnings.warn(
                f"{self.rows} rows have no label, the first is key {self.first!r}; they are not trained on",
                stacklevel=5,
            )
