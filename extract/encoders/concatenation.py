"""`a+b`: the vectors of several encoders, one behind the other."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders.protocol import (
    FittedEncoder,
    ImageEncoder,
    State,
    TextEncoder,
    block_of,
    close_all,
    framing_of,
    without_words,
)
from huse.extract.images.framing import Framing
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import EncoderError


class ImageConcatenation:
    """Several image encoders that take the same pixels.

    Raises:
        EncoderError: their sizes differ, or how images are framed for them.
    """

    def __init__(self, encoders: Sequence[ImageEncoder]) -> None:
        self.encoders = encoders
        sizes = {encoder.input_size for encoder in encoders}
        if len(sizes) > 1:
            named = ", ".join(f"{e.spec.name} {e.input_size[0]} x {e.input_size[1]}" for e in encoders)
            raise EncoderError(f"encoders joined by + must take images of one size: {named}; make two stores")
        framings = dict.fromkeys(map(framing_of, encoders))
        if len(framings) > 1:
            named = ", ".join(f"{e.spec.name} {framing_of(e)}" for e in encoders)
            raise EncoderError(f"encoders joined by + must see the same of an image: {named}; make two stores")

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) that all of them take."""
        return self.encoders[0].input_size

    @property
    def framing(self) -> Framing:
        """What all of them see of an image."""
        return framing_of(self.encoders[0])

    @property
    def block(self) -> int:
        """Images that fill the blocks of all of them."""
        return math.lcm(*map(block_of, self.encoders))

    @property
    def spec(self) -> EncoderSpec:
        """Made of the specs of the parts."""
        return _joined(self.encoders)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, height, width, 3) RGB pixels to (n, sum of dimensions) vectors."""
        return np.concatenate([encoder.encode(pixels) for encoder in self.encoders], axis=1)

    def close(self) -> None:
        """Closes the parts."""
        close_all(self.encoders)


class TextConcatenation:
    """Several text encoders."""

    def __init__(self, encoders: Sequence[TextEncoder]) -> None:
        self.encoders = encoders

    @property
    def spec(self) -> EncoderSpec:
        """Made of the specs of the parts."""
        return _joined(self.encoders)

    @property
    def without_words(self) -> str:
        """That of the first part."""
        return without_words(self.encoders[0])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts to (n, sum of dimensions) vectors."""
        return np.concatenate([encoder.encode(texts) for encoder in self.encoders], axis=1)

    def fit(self, texts: Iterable[str]) -> None:
        """Fits those parts that learn."""
        learning = [encoder for encoder in self.encoders if isinstance(encoder, FittedEncoder)]
        kept = list(texts) if len(learning) > 1 else texts
        for encoder in learning:
            encoder.fit(kept)

    def state(self) -> State:
        """The state of each part."""
        states = [encoder.state() if isinstance(encoder, FittedEncoder) else None for encoder in self.encoders]
        return None if all(state is None for state in states) else states

    def close(self) -> None:
        """Closes the parts."""
        close_all(self.encoders)


def _joined(encoders: Sequence[Any]) -> EncoderSpec:
    specs = [encoder.spec for encoder in encoders]
    return EncoderSpec(
        name="+".join(spec.name for spec in specs),
        modality=specs[0].modality,
        dimension=sum(spec.dimension for spec in specs),
        preprocessing="; then ".join(spec.preprocessing for spec in specs),
        weights=hashlib.sha256(" ".join(spec.fingerprint for spec in specs).encode()).hexdigest(),
        source="+".join(spec.known_as for spec in specs),
    )
