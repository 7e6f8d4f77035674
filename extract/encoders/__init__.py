"""The registry: a name becomes an encoder.

An encoder has a `spec` and turns a batch into float32 vectors. Constructing one reads what its fingerprint needs; the
network itself is built at the first `encode`, so a run with nothing left to do loads no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import EncoderError

IMAGE_ENCODERS = ("vgg16",)
TEXT_ENCODERS = ("use",)
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


class ImageEncoder(Protocol):
    """Pictures to vectors."""

    spec: EncoderSpec
    input_size: tuple[int, int]
    """(height, width) of the pixels that `encode` takes."""

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, height, width, 3) RGB pixels to (n, dimension) vectors."""
        ...


class TextEncoder(Protocol):
    """Texts to vectors."""

    spec: EncoderSpec

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts, none empty, to (n, dimension) vectors."""
        ...


def image_encoder(name: str, weights: Path | None = None, precision: str = "auto") -> ImageEncoder:
    """The picture encoder of a name.

    Args:
        name: one of `IMAGE_ENCODERS`.
        weights: a local Keras weights file in place of the bundled one.
        precision: arithmetic, one of `PRECISIONS`; not part of the fingerprint.

    Raises:
        EncoderError: no encoder of this name, or its weights cannot be read.
    """
    if name not in IMAGE_ENCODERS:
        raise EncoderError(f"no image encoder {name!r}; there is {', '.join(IMAGE_ENCODERS)}")
    from huse.extract.encoders.vgg16 import VGG16Encoder

    return VGG16Encoder(weights, precision)


def text_encoder(name: str) -> TextEncoder:
    """The text encoder of a name.

    Raises:
        EncoderError: no encoder of this name.
    """
    if name not in TEXT_ENCODERS:
        raise EncoderError(f"no text encoder {name!r}; there is {', '.join(TEXT_ENCODERS)}")
    from huse.extract.encoders.use import USEEncoder

    return USEEncoder()
