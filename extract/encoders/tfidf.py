"""`tfidf:DIM`: TF-IDF over the DIM most frequent words of the training texts (scikit-learn)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from huse.extract.encoders.protocols import State
from huse.extract.texts import PREPROCESSING
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import EncoderError

OPTIONS = {"sublinear_tf": True, "strip_accents": "unicode"}
ROWS_A_STEP = 1000


class TfidfEncoder:
    """Unit vectors of word weights; what it learns is plain JSON, never a pickle.

    Args:
        dimension: length of the vectors, as the name has it; a smaller vocabulary leaves zeros at the end.
        state: a vocabulary and its weights, as `state` gives.

    Raises:
        EncoderError: the dimension is not a number above 0.
    """

    def __init__(self, dimension: str, state: State = None) -> None:
        if not dimension.isdecimal() or not int(dimension):
            raise EncoderError(f"tfidf:{dimension}: not a number of words above 0; write tfidf:1000")
        self.dimension = int(dimension)
        self._state = state
        self._vectorizer: TfidfVectorizer | None = None

    @property
    def spec(self) -> EncoderSpec:
        """The spec; its digest covers the vocabulary.

        Raises:
            EncoderError: not fitted.
        """
        if self._state is None:
            raise EncoderError("tfidf learns its words from texts, and there are none; take another --text-encoder")
        digest = hashlib.sha256(json.dumps(self._state, sort_keys=True).encode()).hexdigest()
        preprocessing = f"{PREPROCESSING}; words in lower case without accents; 1 + log tf, idf, unit length"
        return EncoderSpec(f"tfidf:{self.dimension}", "text", self.dimension, preprocessing, digest)

    def fit(self, texts: Iterable[str]) -> None:
        """Takes the most frequent words of some texts.

        Raises:
            EncoderError: they have no words.
        """
        vectorizer = TfidfVectorizer(max_features=self.dimension, **OPTIONS)
        try:
            vectorizer.fit(texts)
        except ValueError as error:
            raise EncoderError(f"tfidf:{self.dimension}: no words in the training texts; name another") from error
        words = vectorizer.get_feature_names_out().tolist()
        self._state = {"words": words, "idf": [float(weight) for weight in vectorizer.idf_]}
        self._vectorizer = None

    def state(self) -> State:
        """Words, sorted, and the inverse document frequency of each."""
        return self._state

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts to (n, DIM) unit vectors; one without any known word is all zeros."""
        if self._vectorizer is None:
            self._vectorizer = TfidfVectorizer(vocabulary=self._state["words"], **OPTIONS)
            self._vectorizer.idf_ = np.array(self._state["idf"])
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), ROWS_A_STEP):
            part = self._vectorizer.transform(texts[start : start + ROWS_A_STEP])
            vectors[start : start + ROWS_A_STEP, : part.shape[1]] = part.toarray()
        return vectors
