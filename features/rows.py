"""Rows of vectors in memory: what a shard holds, one entry a row in every field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.codes import CODES
from huse.features.columns import STRINGS, columns_of, is_finite, modalities_of
from huse.features.errors import StoreError
from huse.features.failure import Failure
from huse.features.modality import Modality, Pair

SPLITS = ("train", "val", "test")
"""What a row may be for; a row without one is trained on."""


@dataclass
class Rows:
    """n rows, in the order of their shard.

    Attributes:
        key: n unique names.
        label: n label paths such as ``apparel/topwear/shirts``; empty when unknown.
        split: n of ``train``, ``val``, ``test`` or empty.
        uri: n image locations, for display only.
        caption: n texts, for display only.
        image: what is known of the n images, vectors (n, Di).
        text: what is known of the n texts, vectors (n, Dt).
        prediction: n predicted label paths; embeddings only, else None.
        probability: (n,) float32 probability of the prediction; embeddings only, else None.
        failures: what went wrong, by key.
    """

    key: NDArray[np.object_]
    label: NDArray[np.object_]
    split: NDArray[np.object_]
    uri: NDArray[np.object_]
    caption: NDArray[np.object_]
    image: Modality
    text: Modality
    prediction: NDArray[np.object_] | None = None
    probability: NDArray[np.float32] | None = None
    failures: list[Failure] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.key)

    @classmethod
    def empty(cls, n: int, image_dim: int, text_dim: int) -> Rows:
        """N rows with empty strings, zero vectors and no modality present."""
        return cls(
            key=blank_strings(n),
            label=blank_strings(n),
            split=blank_strings(n),
            uri=blank_strings(n),
            caption=blank_strings(n),
            image=Modality.empty(n, image_dim),
            text=Modality.empty(n, text_dim),
        )

    @classmethod
    def of_columns(cls, columns: Mapping[str, NDArray[Any]], failures: list[Failure]) -> Rows:
        """The rows that `columns` gave; other columns are passed over."""
        both = modalities_of(columns)
        return cls(
            **{name: columns[name] for name in STRINGS},
            image=both.image,
            text=both.text,
            prediction=columns.get("prediction"),
            probability=columns.get("probability"),
            failures=failures,
        )

    @property
    def modalities(self) -> Pair[Modality]:
        """Images and texts as a pair."""
        return Pair(image=self.image, text=self.text)

    @property
    def present(self) -> Pair[NDArray[np.bool_]]:
        """(n,) for each modality, which rows have it."""
        return self.modalities.map(lambda its: its.present)

    def columns(self) -> dict[str, NDArray[Any]]:
        """All that has one entry a row, by the names that stores and exports have for it; absent ones left out."""
        strings = {"key": self.key, "label": self.label, "split": self.split, "uri": self.uri, "caption": self.caption}
        values = {**strings, **columns_of(self.modalities)}
        if self.prediction is not None:
            values["prediction"] = self.prediction
        if self.probability is not None:
            values["probability"] = self.probability
        return values

    def take(self, index: NDArray[np.generic] | Sequence[int]) -> Rows:
        """The rows at the given positions or mask, with the failures of those rows."""
        columns = {name: value[index] for name, value in self.columns().items()}
        kept = set(columns["key"])
        return Rows.of_columns(columns, [f for f in self.failures if f.key in kept])

    def encoded(self, dtype: str) -> Rows:
        """The same rows with vectors as a store of a type keeps them; codes, where it keeps those.

        Raises:
            StoreError: a vector is not finite, and a code would not tell.
        """
        for modality, its in self.modalities.items():
            if dtype in CODES and not is_finite(its.vectors):
                key = self.key[int(np.argmin(np.isfinite(its.vectors).all(axis=1)))]
                raise StoreError(f"{modality} vector of key {key!r} is not finite; it has no code of type {dtype}")
        return replace(self, image=self.image.encoded(dtype), text=self.text.encoded(dtype))

    def decoded(self) -> Rows:
        """The same rows with unit vectors in place of codes."""
        return replace(self, image=self.image.decoded(), text=self.text.decoded())

    def holds_the_same_as(self, other: Rows) -> bool:
        """Whether the other rows, and their failures, are these; vectors as they are in the other's type."""
        if self is other:
            return True
        ours, theirs = self.columns(), other.columns()
        if self.failures != other.failures or set(ours) != set(theirs):
            return False
        return all(np.array_equal(ours[name].astype(theirs[name].dtype), theirs[name]) for name in ours)


def blank_strings(n: int) -> NDArray[np.object_]:
    """N empty strings."""
    return np.full(n, "", dtype=object)


def concatenate(parts: Sequence[Rows]) -> Rows:
    """Several parts of one store as one, in order; there must be at least one part."""
    columns = [part.columns() for part in parts]
    joined = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
    return Rows.of_columns(joined, [failure for part in parts for failure in part.failures])


def gathered(parts: Iterable[Rows], n: int) -> Rows:
    """As `concatenate`, but one part is in memory beside the whole; there must be at least one part.

    Args:
        parts: of one store, in order.
        n: rows of all of them.
    """
    columns: dict[str, NDArray[Any]] = {}
    failures: list[Failure] = []
    done = 0
    for part in parts:
        for name, values in part.columns().items():
            if name not in columns:
                columns[name] = np.empty((n, *values.shape[1:]), values.dtype)
            columns[name][done : done + len(part)] = values
        done += len(part)
        failures += part.failures
    return Rows.of_columns(columns, failures)
