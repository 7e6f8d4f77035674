"""An image on its way to the encoder: what a reading thread finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huse.extract.config import ExtractConfig
from huse.extract.images.decoding import ImageError, decode_image
from huse.extract.images.framing import Framing
from huse.extract.manifest.rows import Manifest
from huse.extract.manifest.spool import ManifestRow
from huse.extract.reuse import Fate, Stored, decide, digest_of
from huse.features.failure import Failure
from huse.features.modality import DIGEST_BYTES

NOTHING = bytes(DIGEST_BYTES)
"""The digest of what was not read."""


@dataclass(frozen=True)
class Loaded:
    """Pixels to encode, or the stored row whose vector stays, or a failure; with a failure it stays for now.

    Attributes:
        digest: of the bytes; `NOTHING` when they could not, or need not be read.
        pixels: (height, width, 3) RGB.
        kept: position in the stored shard.
        failure: why there are no pixels.
    """

    digest: bytes = NOTHING
    pixels: NDArray[np.uint8] | None = None
    kept: int | None = None
    failure: Failure | None = None


def load_image(manifest: Manifest, row: ManifestRow, stored: Stored, framing: Framing, config: ExtractConfig) -> Loaded:
    """Reads the image of a row and, unless its stored vector still holds, decodes it.

    Args:
        manifest: where the image is from.
        row: the row; one that has a problem is a failure.
        stored: what the shard of the row holds.
        framing: how it becomes the pixels.
        config: limits, and whether stored rows are trusted unread.
    """
    at = stored.find(row.key, "image")
    if config.retry_failed and stored.trusts(at, row.image):
        return Loaded(kept=at)
    made_of, digest, stage = stored.digest(at, "image"), NOTHING, "read"
    try:
        data = _bytes(manifest, row)
        digest, stage = digest_of(data), "decode"
        if decide(made_of, digest) is Fate.KEEP:
            return Loaded(digest, kept=at)
        return Loaded(digest, decode_image(data, framing, config.max_pixels, config.recover_truncated))
    except ImageError as error:
        kept = at if decide(made_of, None) is Fate.KEEP else None
        return Loaded(digest, kept=kept, failure=Failure(row.key, stage, str(error)))


def _bytes(manifest: Manifest, row: ManifestRow) -> bytes:
    if row.problem:
        raise ImageError(row.problem)
    return manifest.image_bytes(row)
