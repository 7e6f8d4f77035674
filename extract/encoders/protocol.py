"""What an encoder is, and what it may be besides.

It has a `spec` and turns a batch into float32 vectors: an `ImageEncoder`, which has an `input_size` too, or a
`TextEncoder`. All else is a protocol of its own, which an encoder has or has not: `Batching`, `Blocked`, `Closing`,
`Explaining`, `FittedEncoder`, `Framed`, `OfFiles`, `Traceable`.

Constructing one reads what its fingerprint needs; the network itself is built at the first `encode` where that can be,
so that a run with nothing left to do loads no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from huse.extract.images.framing import Framing
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import EncoderError

State = Any
"""JSON values by which a fitted encoder is made again; None for one that has learned nothing."""


@runtime_checkable
class ImageEncoder(Protocol):
    """Images to vectors."""

    @property
    def spec(self) -> EncoderSpec:
        """What decides the vectors."""
        ...

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the pixels that `encode` takes."""
        ...

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, height, width, 3) RGB pixels, which are overwritten once it returns, to (n, dimension) vectors."""
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """Texts to vectors.

    A vector of zeros means that the encoder knows none of a text's words: the text is then that row's failure, and no
    query.
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
class Blocked(Protocol):
    """An image encoder that takes blocks of images."""

    @property
    def block(self) -> int:
        """Images a block; the batches of a run are multiples of it."""
        ...


@runtime_checkable
class Batching(Protocol):
    """An encoder that tells how many items it likes at a time: one of images that TensorFlow's devices do not run."""

    @property
    def batch_size(self) -> int:
        """Images a forward pass, unless the user says how many; or texts, a few of which may take long."""
        ...


@runtime_checkable
class Framed(Protocol):
    """An image encoder that does not see the whole image, resized bilinearly to its `input_size`."""

    @property
    def framing(self) -> Framing:
        """What it sees of it."""
        ...


@runtime_checkable
class Closing(Protocol):
    """An encoder that holds threads, processes or a device."""

    def close(self) -> None:
        """Gives them back; whoever made the encoder calls it when nothing is left to encode."""
        ...


@runtime_checkable
class Explaining(Protocol):
    """A text encoder that can tell why a text got zeros."""

    @property
    def without_words(self) -> str:
        """The reason, and what to do."""
        ...


@runtime_checkable
class OfFiles(Protocol):
    """An encoder whose weights are files from outside, which can be compared before any of it runs."""

    @property
    def files_digest(self) -> str:
        """SHA-256 of the files, the `weights` of the spec; taking it runs nothing."""
        ...


@runtime_checkable
class Traceable(Protocol):
    """An encoder that TensorFlow runs, so that it can become part of an exported model."""

    def graph(self) -> tuple[Callable[[Any], Any], list[Any]]:
        """A traceable float32 function from a batch, pixels or strings, to vectors, and what holds its variables."""
        ...


def require_encoder(given: object, modality: str) -> None:
    """Refuses what is handed in as an encoder and is none, or one of the other modality.

    Raises:
        EncoderError: the message says what it has to have; or the encoder has to learn first.
    """
    kind, has = (ImageEncoder, "spec, input_size and") if modality == "image" else (TextEncoder, "spec and")
    if isinstance(given, type) or not isinstance(given, kind):  # a class has what its instances have
        raise EncoderError(f"{given!r} is no {modality} encoder, which has {has} encode, nor the name of one")
    if given.spec.modality != modality:
        raise EncoderError(f"encoder {given.spec.name!r} is for {given.spec.modality}, not {modality}")


def block_of(encoder: ImageEncoder) -> int:
    """Images that an encoder takes at a time, see `Blocked`."""
    return encoder.block if isinstance(encoder, Blocked) else 1


def framing_of(encoder: ImageEncoder) -> Framing:
    """How images are framed for an encoder: the whole of them, unless it is `Framed`."""
    return encoder.framing if isinstance(encoder, Framed) else Framing.whole(encoder.input_size)


def without_words(encoder: TextEncoder) -> str:
    """Why an encoder gave zeros for a text, and what to do."""
    if isinstance(encoder, Explaining):
        return encoder.without_words
    return f"no known word: {encoder.spec.name} knows none of the text's; write it in other words"


def close_all(encoders: Iterable[object]) -> None:
    """Closes those that can be, see `Closing`."""
    for encoder in encoders:
        if isinstance(encoder, Closing):
            encoder.close()
