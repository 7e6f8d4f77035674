"""`tfidf:DIM`: TF-IDF over the DIM most frequent words, or runs of characters, of the training texts (scikit-learn)."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from huse.extract.encoders.protocol import State
from huse.extract.encoders.vocabulary import are_words, not_its_own, not_learned, words_asked
from huse.extract.texts import PREPROCESSING
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import EncoderError

WORDS: dict[str, Any] = {"sublinear_tf": True, "strip_accents": "unicode"}
RUNS: dict[str, Any] = {"sublinear_tf": True, "analyzer": "char", "ngram_range": (1, 3)}
"""Options of scikit-learn; characters keep their accents, which in Japanese and Korean are more than that."""

ROWS_A_STEP = 1000


class TfidfEncoder:
    """Unit vectors of the weights of words, or of runs of characters for languages without spaces.

    What it learns is plain JSON, never a pickle. A text without any known word is all zeros.

    Args:
        argument: length of the vectors, and ``:char`` for runs of 1 to 3 characters; a smaller vocabulary leaves zeros
            at the end.
        state: a vocabulary and its weights, as `state` gives.

    Raises:
        EncoderError: the argument is neither, or the state is none of such an encoder.
    """

    def __init__(self, argument: str, state: State = None) -> None:
        number, colon, unit = argument.partition(":")
        self.name = f"tfidf:{argument}"
        self.dimension = words_asked("tfidf", number, self.name)
        if colon and unit != "char":
            raise EncoderError(f"{self.name}: {unit!r} is no unit; write tfidf:{number} or tfidf:{number}:char")
        self._of_characters = bool(unit)
        self._state: Any = state if state is None else self._checked(state)
        self._vectorizer: TfidfVectorizer | None = None

    @property
    def _options(self) -> dict[str, Any]:
        return RUNS if self._of_characters else WORDS

    @property
    def spec(self) -> EncoderSpec:
        """The spec; its digest covers the vocabulary.

        Raises:
            EncoderError: not fitted.
        """
        if self._state is None:
            raise not_learned("tfidf")
        digest = hashlib.sha256(json.dumps(self._state, sort_keys=True).encode()).hexdigest()
        units = (
            "runs of 1 to 3 characters in lower case" if self._of_characters else "words in lower case without accents"
        )
        preprocessing = f"{PREPROCESSING}; {units}; 1 + log tf, idf, unit length"
        return EncoderSpec(self.name, "text", self.dimension, preprocessing, digest)

    def fit(self, texts: Iterable[str]) -> None:
        """Takes the most frequent words of some texts.

        Raises:
            EncoderError: they have no words.
        """
        vectorizer = TfidfVectorizer(max_features=self.dimension, **self._options)
        try:
            vectorizer.fit(texts)
        except ValueError as error:
            raise EncoderError(
                f"{self.name}: no words to learn in the texts of split train or none; give it some, "
                f"or name another, {self._way_out}"
            ) from error
        pairs = zip(vectorizer.get_feature_names_out().tolist(), vectorizer.idf_.tolist(), strict=True)
        known = [(word, weight) for word, weight in pairs if word.strip()]  # a space alone says nothing of a text
        self._state = {"words": [word for word, _ in known], "idf": [weight for _, weight in known]}
        self._vectorizer = None

    def state(self) -> State:
        """Words, sorted, and the inverse document frequency of each."""
        return self._state

    @property
    def without_words(self) -> str:
        """Why a text's vector may be all zeros, and what to do."""
        return f"no known word: {self.name} knows none of the text's; take an encoder that does, {self._way_out}"

    @property
    def _way_out(self) -> str:
        if self._of_characters:
            return "such as use"
        return f"such as use, or tfidf:{self.dimension}:char for languages without spaces"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts to (n, DIM) unit vectors; one without any known word is all zeros."""
        if self._vectorizer is None:
            self._vectorizer = TfidfVectorizer(vocabulary=self._state["words"], **self._options)
            self._vectorizer.idf_ = np.array(self._state["idf"])
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), ROWS_A_STEP):
            part = self._vectorizer.transform(texts[start : start + ROWS_A_STEP])
            vectors[start : start + ROWS_A_STEP, : part.shape[1]] = part.toarray()
        return vectors

    def _checked(self, state: State) -> State:
        words, weights = (state.get(key) for key in ("words", "idf")) if isinstance(state, dict) else (None, None)
        good = (
            are_words(words, self.dimension)
            and isinstance(weights, list)
            and len(words) == len(weights)
            and all(isinstance(weight, int | float) and math.isfinite(weight) for weight in weights)
        )
        if not good:
            raise not_its_own(self.name)
        return state
