"""Images on their way to the encoder: what a reading thread finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huse.extract.config import ExtractConfig
from huse.extract.images.decoders import Decoders
from huse.extract.images.decoding import ImageError
from huse.extract.images.framing import Framing
from huse.extract.manifest.rows import Manifest
from huse.extract.manifest.spool import ManifestRow
from huse.extract.reuse import Fate, Stored, decide, digest_of
from huse.features.failure import Failure
from huse.features.modality import DIGEST_BYTES

NOTHING = bytes(DIGEST_BYTES)
"""The digest of what was not read."""


MOST_BYTES = 1 << 20
"""Of files that a thread holds before it decodes them, but for the last."""


@dataclass(frozen=True)
class Loaded:
    """An image whose pixels are to be encoded, or the stored row whose vector stays, or a failure; or the last two.

    Attributes:
        digest: of the bytes; `NOTHING` when they could not, or need not be read.
        kept: position in the stored shard.
        failure: why there are no pixels; with `kept`, why the vector that stays is not of the bytes of now.
    """

    digest: bytes = NOTHING
    kept: int | None = None
    failure: Failure | None = None

    @property
    def has_pixels(self) -> bool:
        """Whether it is to be encoded."""
        return self.kept is None and self.failure is None


@dataclass(frozen=True)
class LoadedImages:
    """Several of one shard.

    Attributes:
        each: what was found of each.
        pixels: (n, height, width, 3) RGB of those that have some, in order.
    """

    each: list[Loaded]
    pixels: NDArray[np.uint8]


def load_images(
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    stored: Stored,
    framing: Framing,
    config: ExtractConfig,
    decoders: Decoders,
) -> LoadedImages:
    """Reads the images of some rows of a shard, and decodes those whose stored vectors hold no more.

    Args:
        manifest: where the images are from.
        rows: the rows; one that has a problem is a failure.
        stored: what the shard of the rows holds.
        framing: how images become the pixels.
        config: limits, and whether stored rows are trusted unread.
        decoders: what decodes them.
    """
    each: list[Loaded] = []
    waiting: list[tuple[int, bytes]] = []
    parts: list[NDArray[np.uint8]] = []

    def decode() -> None:
        data = [one for _, one in waiting]
        pixels, errors = decoders.decode(data, framing, config.max_pixels, config.recover_truncated)
        for place, error in errors.items():
            i = waiting[place][0]
            each[i] = _failed(rows[i], stored, each[i].digest, "decode", error)
        parts.append(np.delete(pixels, list(errors), axis=0) if errors else pixels)
        waiting.clear()

    for i, row in enumerate(rows):
        image, data = _read(manifest, row, stored, config)
        each.append(image)
        if image.has_pixels:
            waiting.append((i, data))
        if sum(len(one) for _, one in waiting) > MOST_BYTES:
            decode()
    decode()
    return LoadedImages(each, np.concatenate(parts) if len(parts) > 1 else parts[0])


def _read(manifest: Manifest, row: ManifestRow, stored: Stored, config: ExtractConfig) -> tuple[Loaded, bytes]:
    """What is known of an image before it is decoded, and its bytes where it is to be."""
    at = stored.find(row.key, "image")
    if config.retry_failed and stored.trusts(at, row.image):
        return Loaded(kept=at), b""
    try:
        data = _bytes(manifest, row)
    except ImageError as error:
        return _failed(row, stored, NOTHING, "read", error), b""
    digest = digest_of(data)
    if decide(stored.digest(at, "image"), digest) is Fate.KEEP:
        return Loaded(digest, kept=at), b""
    return Loaded(digest), data


def _failed(row: ManifestRow, stored: Stored, digest: bytes, stage: str, error: ImageError) -> Loaded:
    at = stored.find(row.key, "image")
    kept = at if decide(stored.digest(at, "image"), None) is Fate.KEEP else None
    return Loaded(digest, kept, Failure(row.key, stage, str(error)))


def _bytes(manifest: Manifest, row: ManifestRow) -> bytes:
    if row.problem:
        raise ImageError(row.problem)
    return manifest.image_bytes(row)
