"""What an encoder is.

It has a `spec` and turns a batch into float32 vectors. Constructing one reads what its fingerprint needs; the network
itself is built at the first `encode` where that can be, so that a run with nothing left to do loads no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from huse.features.encoder_spec import EncoderSpec

State = Any
"""JSON values by which a fitted encoder is made again; None for one that has learned nothing."""


class ImageEncoder(Protocol):
    """Images to vectors.

    One that takes blocks of images may have an integer `block`; the batches of a run are multiples of it.
    """

    @property
    def spec(self) -> EncoderSpec:
        """What decides the vectors."""
        ...

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the pixels that `encode` takes."""
        ...

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, height, width, 3) RGB pixels to (n, dimension) vectors."""
        ...


class TextEncoder(Protocol):
    """Texts to vectors.

    A vector of zeros means that the encoder knows none of a text's words: the text is then that row's failure, and no
    query. One that can tell more has a string `without_words`.
    """

    @property
    def spec(self) -> EncoderSpec:
        """What decides the vectors."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts, none empty, to (n, dimension) vectors."""
        ...


@runtime_checkable
class FittedEncoder(Protocol):
    """A text encoder that learns from the training texts, such as a vocabulary."""

    def fit(self, texts: Iterable[str]) -> None:
        """Learns from texts, once."""
        ...

    def state(self) -> State:
        """What was learned, kept in the store and in the model."""
        ...


@runtime_checkable
class GraphEncoder(Protocol):
    """An encoder that TensorFlow runs, so that it can become part of an exported model."""

    def graph(self) -> tuple[Callable[[Any], Any], list[Any]]:
        """A traceable float32 function from a batch, pixels or strings, to vectors, and what holds its variables."""
        ...


def without_words(encoder: TextEncoder) -> str:
    """Why an encoder gave zeros for a text, and what to do."""
    default = f"no known word: {encoder.spec.name} knows none of the text's; write it in other words"
    told: str = getattr(encoder, "without_words", default)
    return told
