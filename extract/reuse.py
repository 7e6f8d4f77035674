"""What an earlier run left in a shard, and what of it still holds. Pure."""

from __future__ import annotations

import hashlib
from enum import Enum, auto

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


class Stored:
    """The rows of one shard by key.

    Args:
        rows: as they are stored; None when there are none.
    """

    def __init__(self, rows: Rows | None) -> None:
        self._rows = Rows.empty(0, 0, 0) if rows is None else rows
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
        return at is not None and self._rows.key[at] not in self._failed and self._rows.uri[at] == uri

    def copy(self, at: int, out: Rows, i: int, modality: str) -> None:
        """Copies the vector of a row, and its digest, into row i of others."""
        new, old = out.modalities.of(modality), self._rows.modalities.of(modality)
        new.vectors[i], new.present[i], new.digest[i] = old.vectors[at], old.present[at], old.digest[at]


def digest_of(data: bytes) -> bytes:
    """The digest by which an image or a text is known to be unchanged."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
