"""Counts of words, against plain Python."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest

from huse.extract.encoders import text_encoder
from huse.extract.encoders.protocol import without_words
from huse.extract.encoders.tokenizer import TEXTS_A_STEP, TokenizerEncoder
from huse.features.errors import EncoderError

TEXTS = ["The cat sat on the mat.", "the CAT, the dog: ran!", "a dog's life; 2 cats (and a cat)", "\u00dcber the sea"]


def words(text: str) -> list[str]:
    return re.sub(r"[!-/:-@\\[-`{-~]", "", text.lower()).split()


def fitted(number: int, texts: list[str] = TEXTS) -> TokenizerEncoder:
    encoder = TokenizerEncoder(str(number))
    encoder.fit(texts)
    return encoder


def test_counts_are_those_of_a_plain_loop() -> None:
    encoder, new = fitted(50), ["the the sea of cats, and zebras", "The END.", "mat-mat cat's"]
    vocabulary = encoder.state()["words"]
    assert set(vocabulary) == {word for text in TEXTS for word in words(text)}
    expected = [[Counter(words(text))[word] for word in vocabulary] for text in new]
    vectors = encoder.encode(new)
    np.testing.assert_array_equal(vectors[:, : len(vocabulary)], expected)
    assert vectors.shape == (3, 50)
    assert not vectors[:, len(vocabulary) :].any()


def test_the_most_frequent_words_are_taken_over_all_steps() -> None:
    many = ["rare"] + ["common"] * TEXTS_A_STEP + ["often"] * 9
    assert fitted(2, many).state()["words"] == ["common", "often"]


def test_it_is_made_again_from_its_state() -> None:
    encoder = fitted(4)
    again = text_encoder("tokenizer:4", json.loads(json.dumps(encoder.state())))
    np.testing.assert_array_equal(again.encode(TEXTS), encoder.encode(TEXTS))
    assert again.spec == encoder.spec
    assert fitted(4, TEXTS[2:]).spec != encoder.spec


def test_it_can_become_part_of_an_exported_model() -> None:
    encoder = fitted(4)
    function, _ = encoder.graph()
    np.testing.assert_array_equal(function(np.array(TEXTS)), encoder.encode(TEXTS))


def test_texts_without_a_known_word_are_zeros_and_say_why() -> None:
    encoder = fitted(4)
    assert not encoder.encode(["zebra", "?!"]).any()
    assert without_words(encoder).startswith("no known word: tokenizer:4 knows none")
    with pytest.raises(EncoderError, match="no words to learn"):
        fitted(4, ["!", "?"])
    with pytest.raises(EncoderError, match="learns its words from texts"):
        _ = TokenizerEncoder("4").spec


@pytest.mark.parametrize(
    "state",
    [{}, [], "ab", {"words": []}, {"words": [1]}, {"words": ["a", "a"]}, {"words": [""]}, {"words": list("abcde")}],
)
def test_what_is_no_vocabulary_of_its_own_is_refused(state: object) -> None:
    with pytest.raises(EncoderError, match="not of this encoder, or damaged"):
        text_encoder("tokenizer:4", state)
