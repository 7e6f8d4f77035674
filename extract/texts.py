"""Texts as the encoders see them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from string import punctuation as PUNCTUATION

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])")
"""Between a mark that ends a sentence and what follows."""

SURROGATES = re.compile("[\ud800-\udfff]")
"""What no UTF-8 can hold: half a pair of JSON's, or a byte that was not UTF-8."""

CONTROL_AS_SPACE = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ")
"""Unicode's category Cc."""

PREPROCESSING = "NFC, control characters and runs of white space as one space, ends stripped"
"""`clean_text` in words, for the encoders' specs."""


def clean_text(text: str) -> str:
    """Normalizes a text: NFC, control characters and runs of white space as one space, ends stripped.

    Half a pair of surrogates, or a byte that was not UTF-8, becomes U+FFFD. An empty result means that the row has no
    text.
    """
    text = SURROGATES.sub("\ufffd", text)
    return " ".join(unicodedata.normalize("NFC", text).translate(CONTROL_AS_SPACE).split())


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
