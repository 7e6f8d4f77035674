"""What an earlier run left in a shard, and what of it still holds. Pure."""

from __future__ import annotations

import hashlib

from huse.features.modality import DIGEST_BYTES
from huse.features.rows import Rows


class Stored:
    """The rows of one shard by key.

    Args:
        rows: as they are stored; None when there are none.
    """

    def __init__(self, rows: Rows | None) -> None:
        self._rows = Rows.empty(0, 0, 0) if rows is None else rows
        self._place = {key: i for i, key in enumerate(self._rows.key)}
        self.failed = {failure.key for failure in self._rows.failures}

    def vector(self, key: str, modality: str, digest: bytes | None = None) -> int | None:
        """The place of a row that has a vector of a modality; of content with this digest, if one is given."""
        at = self._place.get(key)
        if at is None or not self._rows.modalities.of(modality).present[at]:
            return None
        if digest is not None and self.digest(at, modality) != digest:
            return None
        # texts without a known word were once kept as zeros, which say nothing
        return at if modality == "image" or self._rows.text.vectors[at].any() else None

    def uri(self, at: int) -> str:
        """Where the image of a row lay."""
        return str(self._rows.uri[at])

    def digest(self, at: int, modality: str) -> bytes:
        """The digest of what a vector was made of."""
        return bytes(self._rows.modalities.of(modality).digest[at].tobytes())

    def copy(self, at: int, out: Rows, i: int, modality: str) -> None:
        """Copies the vector of a row, and its digest, into row i of others."""
        new, old = out.modalities.of(modality), self._rows.modalities.of(modality)
        new.vectors[i], new.present[i], new.digest[i] = old.vectors[at], old.present[at], old.digest[at]


def content_digest(data: bytes) -> bytes:
    """The digest by which an image or a text is known to be unchanged."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
