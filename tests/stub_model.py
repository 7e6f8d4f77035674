"""A model without networks, whose encoders take as long as a test wants."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from samples import EMBEDDING_DIMENSION, embedding_spec

from huse.extract.images.decoding import MAX_PIXELS, ImageError, decode_image
from huse.features.errors import HuseError, QueryError


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class StubModel:
    """What `Searcher` asks of a `Model`."""

    errors: list[HuseError] = field(default_factory=list)
    may_warm: threading.Event = field(default_factory=_set)
    warmed: int = 0
    max_pixels: int = MAX_PIXELS
    decoding: int = 0
    most_decoding: int = 0

    classes = ("a", "b")
    trained = SimpleNamespace(embedding_spec=embedding_spec, fingerprint="0" * 64)

    def warm(self) -> list[HuseError]:
        self.warmed += 1
        assert self.may_warm.wait(120)
        return self.errors

    def embed_and_classify_text(self, text: str) -> tuple[NDArray[Any], NDArray[Any]]:
        if not text.strip():
            raise QueryError("text 0 of 1 is empty")
        text.encode("utf-8")  # as tokenizers do
        return self._answer()

    def embed_and_classify_image(self, data: bytes) -> tuple[NDArray[Any], NDArray[Any]]:
        with threading.Lock():
            self.decoding += 1
            self.most_decoding = max(self.most_decoding, self.decoding)
        try:
            decode_image(data, (32, 32), self.max_pixels)
            time.sleep(0.05)
        except ImageError as error:
            raise QueryError(f"image bytes: {error}") from error
        finally:
            self.decoding -= 1
        return self._answer()

    def _answer(self) -> tuple[NDArray[Any], NDArray[Any]]:
        return np.full(EMBEDDING_DIMENSION, 0.25, np.float32), np.array([0.75, 0.25], np.float32)
