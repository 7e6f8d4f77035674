"""The two modalities: their names, a pair of whatever each of them has, and the vectors of one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from huse.features.codes import decode, encode

MODALITIES = ("image", "text")
"""Their names, in the order in which both stand wherever both do."""

DIGEST_BYTES = 16
"""Length of a content digest: enough that two different images never share one."""

Index = NDArray[Any] | Sequence[int] | slice

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


@dataclass(frozen=True, kw_only=True)
class Pair(Generic[T_co]):
    """What images and texts have side by side; given by name and asked for by name, so that none is the other's.

    Attributes:
        image: of the images.
        text: of the texts.
    """

    image: T_co
    text: T_co

    @classmethod
    def by_name(cls, make: Callable[[str], U]) -> Pair[U]:
        """The pair of what a function makes of each name."""
        image, text = map(make, MODALITIES)
        return Pair(image=image, text=text)

    def items(self) -> tuple[tuple[str, T_co], tuple[str, T_co]]:
        """Both with their names, in the order of `MODALITIES`."""
        image, text = MODALITIES
        return (image, self.image), (text, self.text)

    def of(self, modality: str) -> T_co:
        """That of a modality.

        Raises:
            KeyError: no such modality.
        """
        return dict(self.items())[modality]

    def map(self, function: Callable[[T_co], U]) -> Pair[U]:
        """The pair of what a function makes of each."""
        return Pair(image=function(self.image), text=function(self.text))

    def given(self: Pair[U | None]) -> dict[str, U]:
        """By name those that are not None."""
        return {name: value for name, value in self.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Side:
    """The vectors of n rows in one modality.

    Attributes:
        vectors: (n, D), zeros in rows that lack the modality; D is 0 when nothing has it.
        present: (n,) bool, which rows have it.
    """

    vectors: NDArray[np.floating]
    present: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.present)

    @property
    def dimension(self) -> int:
        """Length D of the vectors."""
        return int(self.vectors.shape[1])

    @classmethod
    def zeros(cls, n: int, dimension: int, dtype: np.dtype[np.floating]) -> Side:
        """N rows without the modality, to be filled."""
        return Side(np.zeros((n, dimension), dtype), np.zeros(n, bool))

    @classmethod
    def joined(cls, parts: Sequence[Side]) -> Side:
        """Several parts as one, in order."""
        return Side(np.concatenate([part.vectors for part in parts]), np.concatenate([part.present for part in parts]))

    def part(self, index: Index) -> Side:
        """The rows of some numbers, a mask or a slice; a slice copies nothing."""
        return Side(self.vectors[index], self.present[index])

    def put(self, index: Index, rows: Side) -> None:
        """Writes rows over those of some numbers, a mask or a slice."""
        self.vectors[index], self.present[index] = rows.vectors, rows.present


@dataclass(frozen=True, eq=False)
class Modality(Side):
    """The vectors of n rows in one modality, and of what content they are.

    Attributes:
        vectors: (n, D), zeros in rows that lack the modality; D is 0 when nothing has it. Codes after `encoded` alone.
        present: (n,) bool, which rows have it.
        digest: (n, 16) uint8, of the bytes of each image or text; zeros where there were none to be read.
    """

    digest: NDArray[np.uint8]

    @classmethod
    def empty(cls, n: int, dimension: int) -> Modality:
        """N rows without the modality, to be filled."""
        return cls(np.zeros((n, dimension), np.float32), np.zeros(n, bool), np.zeros((n, DIGEST_BYTES), np.uint8))

    def encoded(self, dtype: str) -> Modality:
        """The same with vectors as a store of a type keeps them, see `encode`."""
        return replace(self, vectors=encode(self.vectors, dtype))

    def decoded(self) -> Modality:
        """The same with unit vectors in place of codes; itself where there are none."""
        vectors = decode(self.vectors)
        if vectors is self.vectors:
            return self
        vectors[~self.present] = 0  # there is no code of them among the binary ones
        return replace(self, vectors=vectors)

    @classmethod
    def of_vectors(cls, vectors: NDArray[np.floating], present: NDArray[np.bool_]) -> Modality:
        """Vectors (n, D) of which nothing else is known, so that their digests are those of the vectors."""
        digests = np.zeros((len(vectors), DIGEST_BYTES), np.uint8)
        for i in np.flatnonzero(present):
            digest = hashlib.blake2b(vectors[i].tobytes(), digest_size=DIGEST_BYTES).digest()
            digests[i] = np.frombuffer(digest, np.uint8)
        return cls(np.where(present[:, None], vectors, 0).astype(np.float32), present, digests)
