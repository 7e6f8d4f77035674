"""What an earlier run left in a shard, and what of it still holds. Pure."""

from __future__ import annotations

import hashlib

from huse.features.rows import DIGEST_BYTES, Rows


class Stored:
    """The rows of one shard by key.

    Args:
        rows: as they are stored; None when there are none.
    """

    def __init__(self, rows: Rows | None) -> None:
        self._rows = rows
        self._place = {key: i for i, key in enumerate(rows.key)} if rows is not None else {}
        self.failed = {failure.key for failure in rows.failures} if rows is not None else set()

    def vector(self, key: str, modality: str, digest: bytes | None = None) -> int | None:
        """The place of a row that has a vector of a modality; of content with this digest, if one is given."""
        at = self._place.get(key)
        if at is None or self._rows is None or not getattr(self._rows, f"has_{modality}")[at]:
            return None
        if digest is not None and self.digest(at, modality) != digest:
            return None
        # texts without a known word were once kept as zeros, which say nothing
        return at if modality == "image" or self._rows.text[at].any() else None

    def uri(self, at: int) -> str:
        """Where the image of a row lay."""
        return str(self._rows.uri[at]) if self._rows is not None else ""

    def digest(self, at: int, modality: str) -> bytes:
        """The digest of what a vector was made of."""
        return bytes(getattr(self._rows, f"{modality}_digest")[at].tobytes())

    def copy(self, at: int, out: Rows, i: int, modality: str) -> None:
        """Copies the vector of a row, and its digest, into row i of others."""
        for name in (modality, f"has_{modality}", f"{modality}_digest"):
            getattr(out, name)[i] = getattr(self._rows, name)[at]


def content_digest(data: bytes) -> bytes:
    """The digest by which an image or a text is known to be unchanged."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
