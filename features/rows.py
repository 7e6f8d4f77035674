"""Rows of vectors in memory: what a shard holds, one entry a row in every field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGEST_BYTES = 16
"""Length of a content digest: enough that two different images never share one."""


@dataclass(frozen=True)
class Failure:
    """A row that lost a modality: its key, the stage that refused it and why."""

    key: str
    stage: str
    reason: str


@dataclass
class Rows:
    """n rows, in the order of their shard.

    A row without an image (or text) has zeros in `image` (`text`) and False in its mask.

    Attributes:
        key: n unique names.
        label: n label paths such as ``apparel/topwear/shirts``; empty when unknown.
        split: n of ``train``, ``val``, ``test`` or empty.
        uri: n image locations, for display only.
        caption: n texts, for display only.
        image: (n, Di) float vectors.
        text: (n, Dt) float vectors.
        has_image: (n,) bool.
        has_text: (n,) bool.
        image_digest: (n, 16) uint8, the digest of each image's bytes, zeros when they could not be read.
        text_digest: (n, 16) uint8, the digest of each text, zeros when it is empty.
        prediction: n predicted label paths; embeddings only, else None.
        probability: (n,) float32 probability of the prediction; embeddings only, else None.
        failures: what went wrong, by key.
    """

    key: NDArray[np.object_]
    label: NDArray[np.object_]
    split: NDArray[np.object_]
    uri: NDArray[np.object_]
    caption: NDArray[np.object_]
    image: NDArray[np.floating]
    text: NDArray[np.floating]
    has_image: NDArray[np.bool_]
    has_text: NDArray[np.bool_]
    image_digest: NDArray[np.uint8]
    text_digest: NDArray[np.uint8]
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
            image=np.zeros((n, image_dim), np.float32),
            text=np.zeros((n, text_dim), np.float32),
            has_image=np.zeros(n, bool),
            has_text=np.zeros(n, bool),
            image_digest=np.zeros((n, DIGEST_BYTES), np.uint8),
            text_digest=np.zeros((n, DIGEST_BYTES), np.uint8),
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """The fields that have one entry a row, by name, absent ones left out."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "failures"}
        return {name: value for name, value in values.items() if value is not None}

    def take(self, index: NDArray[np.generic] | Sequence[int]) -> Rows:
        """The rows at the given positions or mask, with the failures of those rows."""
        columns = {name: value[index] for name, value in self.columns().items()}
        kept = set(columns["key"])
        return Rows(**columns, failures=[f for f in self.failures if f.key in kept])

    def holds_the_same_as(self, other: Rows) -> bool:
        """Whether the other rows, and their failures, are these; vectors as they are in the other's type."""
        ours, theirs = self.columns(), other.columns()
        if self.failures != other.failures or set(ours) != set(theirs):
            return False
        return all(np.array_equal(ours[name].astype(theirs[name].dtype), theirs[name]) for name in ours)


def blank_strings(n: int) -> NDArray[np.object_]:
    """N empty strings."""
    return np.full(n, "", dtype=object)


def concatenate(parts: Sequence[Rows]) -> Rows:
    """Several parts of one store as one, in order; there must be at least one part."""
    names = parts[0].columns()
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Rows(**columns, failures=[failure for part in parts for failure in part.failures])


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
    return Rows(**columns, failures=failures)
