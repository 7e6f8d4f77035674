"""`salient:N:NAME`: another encoder over the most important tokens of long texts (paper 4.1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders.protocol import FittedEncoder, State, TextEncoder, close_all, without_words
from huse.extract.texts import salient_text
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import EncoderError


class SalientEncoder:
    """An encoder that sees at most so many tokens of a text, see `salient_text`.

    Raises:
        EncoderError: `tokens` is not a number above 0.
    """

    def __init__(self, tokens: str, encoder: TextEncoder) -> None:
        if not (tokens.isdecimal() and len(tokens) < 10 and int(tokens)):
            raise EncoderError(f"salient:{tokens}: not a number of tokens above 0; write salient:512:NAME")
        self.tokens = int(tokens)
        self.encoder = encoder

    @property
    def spec(self) -> EncoderSpec:
        """The spec of the other encoder, with what is done before it."""
        inner = self.encoder.spec
        return replace(
            inner,
            name=f"salient:{self.tokens}:{inner.name}",
            preprocessing=f"{self.tokens} tokens of highest TF-IDF over the text's sentences; {inner.preprocessing}",
            source=f"salient:{self.tokens}:{inner.known_as}",
        )

    @property
    def without_words(self) -> str:
        """The other encoder's."""
        return without_words(self.encoder)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts to (n, dimension) vectors."""
        return self.encoder.encode([salient_text(text, self.tokens) for text in texts])

    def fit(self, texts: Iterable[str]) -> None:
        """Fits the other encoder, if it learns."""
        if isinstance(self.encoder, FittedEncoder):
            self.encoder.fit(salient_text(text, self.tokens) for text in texts)

    def state(self) -> State:
        """The other encoder's."""
        return self.encoder.state() if isinstance(self.encoder, FittedEncoder) else None

    def close(self) -> None:
        """Closes the other encoder."""
        close_all([self.encoder])
