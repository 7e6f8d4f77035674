"""What an earlier run left in a shard, and what of it still holds. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from huse.features.looks import HELD, UNKNOWN, Looks, Values, no_looks
from huse.features.modality import DIGEST_BYTES
from huse.features.rows import Rows


class Fate(Enum):
    """What becomes of an image or a text."""

    KEEP = auto()
    """Its stored vector stays."""
    ENCODE = auto()
    """It gets a new one."""
    FAIL = auto()
    """There is none to be had."""


def decide(stored: bytes | None, read: bytes | None) -> Fate:
    """Keep or encode: a stored vector gives way only to that of content that was read and differs.

    Args:
        stored: digest of what the stored vector was made of; None when there is none.
        read: digest of the content now; None when it could not be read, or not be decoded.
    """
    if read is None:
        return Fate.FAIL if stored is None else Fate.KEEP
    return Fate.KEEP if read == stored else Fate.ENCODE


def look_alike(then: Values, now: Values) -> NDArray[np.bool_]:
    """(n,) which images need not be read: how they looked when they were is known, and they look the same now.

    Args:
        then: (n, 2) looks of the images that the stored vectors are of.
        now: (n, 2) those of the images now.
    """
    same: NDArray[np.bool_] = ((then == now) & (now != HELD)).all(axis=1) & (now != UNKNOWN).any(axis=1)
    return same


class Stored:
    """The rows of one shard by key.

    Args:
        rows: as they are stored; None when there are none.
        looks: how their images looked; None when nothing is known of that.
        moved: (n,) which rows' locations lead elsewhere now, though they are written as they were; by default none.
    """

    def __init__(self, rows: Rows | None, looks: Looks | None = None, moved: NDArray[np.bool_] | None = None) -> None:
        self._rows = Rows.empty(0, 0, 0) if rows is None else rows
        self._moved = np.zeros(len(self._rows), bool) if moved is None else moved
        self._looks = no_looks(len(self._rows)) if looks is None else looks.values
        self._place = {key: i for i, key in enumerate(self._rows.key)}
        self._failed = {failure.key for failure in self._rows.failures}

    def find(self, key: str, modality: str) -> int | None:
        """The position of a row that has a vector of a modality."""
        at = self._place.get(key)
        if at is None or not self._rows.modalities.of(modality).present[at]:
            return None
        # texts without a known word were once kept as zeros, which say nothing
        return at if modality == "image" or self._rows.text.vectors[at].any() else None

    def digest(self, at: int | None, modality: str) -> bytes | None:
        """The digest of what a vector was made of."""
        return None if at is None else bytes(self._rows.modalities.of(modality).digest[at].tobytes())

    def trusts(self, at: int | None, uri: str) -> bool:
        """Whether the image's vector of a row stays unread: the row did not fail, and its image has not moved."""
        if at is None or self._moved[at] or self._rows.key[at] in self._failed:
            return False
        return bool(self._rows.uri[at] == uri)

    def images_at(self, keys: Iterable[str], uris: NDArray[np.object_]) -> NDArray[np.intp]:
        """(n,) the position of the image vector of each row whose location is the same; -1 where there is none."""
        at = np.array([self._place.get(key, -1) for key in keys], np.intp)
        there = np.flatnonzero(at >= 0)
        old = at[there]
        same = self._rows.image.present[old] & (self._rows.uri[old] == uris[there]) & ~self._moved[old]
        at[there[~same.astype(bool)]] = -1
        return at

    def looks(self, at: NDArray[np.intp]) -> Values:
        """(n, 2) how the images of rows at some positions looked; unknown where the position is -1."""
        looks = no_looks(len(at))
        looks[at >= 0] = self._looks[at[at >= 0]]
        return looks

    def copy_images(self, at: NDArray[np.intp], out: Rows, rows: NDArray[np.intp]) -> None:
        """Copies the image vectors at some positions, and their digests, into some rows of others."""
        old, new = self._rows.image, out.image
        new.vectors[rows], new.present[rows], new.digest[rows] = old.vectors[at], old.present[at], old.digest[at]

    def copy(self, at: int, out: Rows, i: int, modality: str) -> None:
        """Copies the vector of a row, and its digest, into row i of others."""
        new, old = out.modalities.of(modality), self._rows.modalities.of(modality)
        new.vectors[i], new.present[i], new.digest[i] = old.vectors[at], old.present[at], old.digest[at]


def digest_of(data: bytes) -> bytes:
    """The digest by which an image or a text is known to be unchanged."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
