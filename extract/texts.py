"""Texts as the encoders see them."""

from __future__ import annotations

import math
import re
from collections import Counter
from string import punctuation as PUNCTUATION

from huse.features.strings import SURROGATES as SURROGATES
from huse.features.strings import clean_text as clean_text

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])")
"""Between a mark that ends a sentence and what follows."""

PREPROCESSING = "NFC, control characters and runs of white space as one space, ends stripped"
"""`clean_text` in words, for the encoders' specs."""


def salient_text(text: str, tokens: int) -> str:
    """A text cut down to its most important tokens, in their order (paper 4.1.1).

    The importance of a word is its TF-IDF with the sentences of this text as documents: its count in the text times
    log((1 + sentences) / (1 + sentences with it)) + 1. Of equal ones the earlier stay.

    Args:
        text: cleaned text.
        tokens: most tokens that are kept; a text of no more stays as it is.
    """
    words = text.split()
    if len(words) <= tokens:
        return text
    sentences = [{_word(token) for token in sentence.split()} for sentence in SENTENCE_END.split(text)]
    counts = Counter(map(_word, words))
    within = Counter(word for sentence in sentences for word in sentence)
    weight = {word: n * (math.log((1 + len(sentences)) / (1 + within[word])) + 1) for word, n in counts.items()}
    best = sorted(range(len(words)), key=lambda i: -weight[_word(words[i])])[:tokens]
    return " ".join(words[i] for i in sorted(best))


def _word(token: str) -> str:
    return token.strip(PUNCTUATION).lower()
