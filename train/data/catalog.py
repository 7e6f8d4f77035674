"""Which rows of a store can be trained on: a few numbers a row, and none of the vectors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.columns import DIGESTS, PRESENT
from huse.features.counted import counted
from huse.features.modality import Pair
from huse.features.store import Store
from huse.train.data.batches import NO_LABEL
from huse.train.data.groups import NAME_BYTES, content_groups, content_numbers

KEPT = ("", "train", "val")
COLUMNS = ("key", "label", "split", PRESENT.image, PRESENT.text, DIGESTS.image, DIGESTS.text)


@dataclass(frozen=True)
class Catalog:
    """n rows to train and validate on, in the order of their shards.

    They have a label and an image or a text; or, where pairs are trained on, both an image and a text.

    Attributes:
        labels: the label paths that occur, sorted.
        label: (n,) number of each row's label in `labels`; -1 for none.
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
    def of(cls, store: Store, pairs: bool = False) -> Catalog:
        """The catalog of a store, read shard by shard; says how many rows without a label are left out.

        Args:
            store: the rows.
            pairs: take rows without a label that have both an image and a text.

        Raises:
            ShardError: a shard is damaged.
        """
        number: dict[str, int] = {}
        parts = list(_parts(store, number, pairs))
        joined = {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
        labels = sorted(number)
        position = np.full(len(labels) + 1, NO_LABEL, np.int32)  # the last is that of rows without a label
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

    def pairs(self) -> Catalog:
        """Its rows that have both an image and a text, whatever their labels are."""
        both = self.present.image & self.present.text
        return Catalog(
            labels=[],
            label=np.full(np.count_nonzero(both), NO_LABEL, np.int32),
            split=self.split[both],
            shard=self.shard[both],
            position=self.position[both],
            present=self.present.map(lambda has: has[both]),
            content=self.content.map(lambda numbers: numbers[both]),
            group=self.group[both],
        )

    def keys(self, store: Store) -> NDArray[np.object_]:
        """(n,) key of each row of the store that this is the catalog of."""
        keys = np.full(len(self), "", object)
        for shard in np.unique(self.shard):
            mine = slice(*np.searchsorted(self.shard, [shard, shard + 1]))
            keys[mine] = np.array(store.keys(int(shard)), object)[self.position[mine]]
        return keys

    def of_split(self, *names: str) -> NDArray[np.bool_]:
        """(n,) mask of the rows of some splits."""
        return np.isin(self.split, [KEPT.index(name) for name in names])


def _parts(store: Store, number: dict[str, int], pairs: bool) -> Iterator[dict[str, NDArray[Any]]]:
    """The columns of each shard's rows; labels are numbered as they come, and of digests the first bytes are kept."""
    unlabeled, first = 0, ""
    for shard in store.ahead():
        columns = store.columns(shard, COLUMNS)
        label, split = columns["label"], columns["split"]
        usable = (columns[PRESENT.image] | columns[PRESENT.text]) & np.isin(split.astype(str), KEPT)
        taken = usable & ((label != "") | (pairs & columns[PRESENT.image] & columns[PRESENT.text]))
        missing = np.flatnonzero(usable & ~taken)
        if len(missing) and not unlabeled:
            first = columns["key"][missing[0]]
        unlabeled += len(missing)
        position = np.flatnonzero(taken).astype(np.int32)
        numbers = [number.setdefault(name, len(number)) if name else NO_LABEL for name in label[position]]
        yield {
            "label": np.array(numbers, np.int32),
            "split": np.array([KEPT.index(name) for name in split[position]], np.int8),
            "shard": np.full(len(position), shard, np.int32),
            "position": position,
            **{name: columns[name][position] for _, name in PRESENT.items()},
            **{name: columns[name][position, :NAME_BYTES] for _, name in DIGESTS.items()},
        }
    if unlabeled:
        alone = ", and no image or no text beside it" if pairs else ""
        have = f"{counted(unlabeled, 'row')} {'has' if unlabeled == 1 else 'have'} no label{alone}"
        warnings.warn(f"{have}, the first is key {first!r}; they are not trained on", stacklevel=5)
