"""`tokenizer:WORDS`: how often each of the most frequent words of the training texts stands in a text (Keras)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders.protocol import State
from huse.extract.encoders.vocabulary import are_words, not_its_own, not_learned, words_asked
from huse.extract.texts import PREPROCESSING
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import EncoderError

TEXTS_A_STEP = 1000

PUNCTUATION = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""


class TokenizerEncoder:
    """Counts of words by Keras's TextVectorization: lower case, without punctuation, parted at white space.

    What it learns is plain JSON. A text without any known word is all zeros.

    Args:
        argument: length of the vectors; a smaller vocabulary leaves zeros at the end.
        state: a vocabulary, as `state` gives.

    Raises:
        EncoderError: the argument is no number, or the state is none of such an encoder.
    """

    def __init__(self, argument: str, state: State = None) -> None:
        self.name = f"tokenizer:{argument}"
        self.dimension = words_asked("tokenizer", argument, self.name)
        self._words: list[str] | None = None if state is None else self._checked(state)

    @property
    def spec(self) -> EncoderSpec:
        """The spec; its digest covers the vocabulary.

        Raises:
            EncoderError: not fitted.
        """
        digest = hashlib.sha256(json.dumps(self._vocabulary).encode()).hexdigest()
        preprocessing = f"{PREPROCESSING}; words in lower case without punctuation; counts"
        return EncoderSpec(self.name, "text", self.dimension, preprocessing, digest)

    @property
    def _vocabulary(self) -> list[str]:
        if self._words is None:
            raise not_learned("tokenizer")
        return self._words

    def fit(self, texts: Iterable[str]) -> None:
        """Takes the most frequent words of some texts.

        Raises:
            EncoderError: they have no words.
        """
        import tensorflow as tf

        learning = self._layer_of(None)
        remaining = iter(texts)
        while part := list(islice(remaining, TEXTS_A_STEP)):
            learning.update_state(tf.constant(part))
        learning.finalize_state()
        self._words = [str(word) for word in learning.get_vocabulary(include_special_tokens=False)]
        if not self._words:
            raise EncoderError(
                f"{self.name}: no words to learn in the texts of split train or none; give it some, "
                "or name another, such as use"
            )

    def state(self) -> State:
        """The words, most frequent first."""
        return None if self._words is None else {"words": self._words}

    @property
    def without_words(self) -> str:
        """Why a text's vector may be all zeros, and what to do."""
        return f"no known word: {self.name} knows none of the text's; take an encoder that does, such as use"

    @cached_property
    def _layer(self) -> Any:
        return self._layer_of(self._vocabulary)

    def _layer_of(self, vocabulary: list[str] | None) -> Any:
        import keras

        return keras.layers.TextVectorization(
            self.dimension + 1,  # the first stands for all unknown words
            standardize=_standardized,
            output_mode="count",
            pad_to_max_tokens=True,
            vocabulary=vocabulary,
        )

    def graph(self) -> tuple[Callable[[Any], Any], list[Any]]:
        """See `Traceable`."""
        layer = self._layer
        return lambda texts: layer(texts)[:, 1:], [layer]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts to (n, WORDS) counts; one without any known word is all zeros."""
        import tensorflow as tf

        vectors = np.empty((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), TEXTS_A_STEP):
            part = list(texts[start : start + TEXTS_A_STEP])
            vectors[start : start + len(part)] = self._layer(tf.constant(part))[:, 1:]
        return vectors

    def _checked(self, state: State) -> list[str]:
        words = state.get("words") if isinstance(state, dict) else None
        if not are_words(words, self.dimension) or "" in words:
            raise not_its_own(self.name)
        return words


def _standardized(texts: Any) -> Any:
    """As Keras does it by itself, which lowers English letters alone."""
    import tensorflow as tf

    return tf.strings.regex_replace(tf.strings.lower(texts, encoding="utf-8"), PUNCTUATION, "")
