"""What a changes file tells of a row, and its digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.embed.files import fused_vectors
from huse.features.delivered import Digests, digests_of
from huse.features.info import StoreInfo
from huse.features.modality import DIGEST_BYTES, Modality
from huse.features.rows import Rows, blank_strings

FUSED = "fused"

Vectors = tuple[NDArray[Any], NDArray[np.bool_]]
"""(n, D), and (n,) which rows have one."""


@dataclass(frozen=True)
class Content:
    """What a changes file tells of a row.

    Attributes:
        model: fingerprint of the model that the vectors are of.
        widths: length of the vectors, by name of their column.
    """

    model: str
    widths: dict[str, int]

    @classmethod
    def of(cls, info: StoreInfo, model: str, fuse: bool) -> Content:
        """What is told of the rows of embeddings: their vectors, or one that fuses them."""
        widths = {name: width for name, width in info.widths.items() if width}
        return cls(model, {FUSED: max(widths.values())} if fuse else widths)

    def to_json(self) -> str:
        """The content as JSON, the same for equal ones."""
        return json.dumps(vars(self), sort_keys=True)

    def vectors(self, rows: Rows) -> dict[str, Vectors]:
        """The vectors of rows, by name of their column."""
        if FUSED in self.widths:
            return {FUSED: (fused_vectors(rows), rows.present.image | rows.present.text)}
        sides: dict[str, Modality] = dict(rows.modalities.items())
        return {name: (sides[name].vectors, sides[name].present) for name in self.widths}

    def digests(self, rows: Rows) -> Digests:
        """(n,) of all that is told of each row."""
        seed = hashlib.blake2b(self.to_json().encode(), digest_size=DIGEST_BYTES)
        prediction, probability = predictions(rows)
        numbers = [array for vectors, there in self.vectors(rows).values() for array in (vectors, there[:, None])]
        parts = [_bytes(array) for array in (*numbers, probability[:, None])]
        found = []
        for label, predicted, *row in zip(rows.label, prediction, *parts, strict=True):
            digest = seed.copy()
            for part in row:
                digest.update(part)
            digest.update(f"{len(label)} {label}{predicted}".encode())
            found.append(digest.digest())
        return digests_of(found)


def predictions(rows: Rows) -> tuple[NDArray[np.object_], NDArray[np.float32]]:
    """(n,) predicted classes, empty where there is none, and (n,) their probabilities, 0 where there is none."""
    if rows.prediction is None or rows.probability is None:
        return blank_strings(len(rows)), np.zeros(len(rows), np.float32)
    return rows.prediction, np.where(rows.prediction.astype(bool), rows.probability, np.float32(0))


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """(n, bytes) of (n, D) values."""
    return np.ascontiguousarray(array).view(np.uint8)
