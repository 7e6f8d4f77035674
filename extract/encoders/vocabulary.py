"""What encoders that learn words have in common: how many may be asked for, and what is a vocabulary of theirs."""

from __future__ import annotations

from typing import Any, TypeGuard

from huse.features.errors import EncoderError

MOST = 1_000_000
"""Words that can be asked for."""


def words_asked(family: str, digits: str, name: str) -> int:
    """The number of words in a name.

    Args:
        family: such as ``tfidf``.
        digits: what stands for the number.
        name: of the encoder, for the message.

    Raises:
        EncoderError: it is none, or too large.
    """
    if not (digits.isdecimal() and len(digits) < 8 and 0 < int(digits) <= MOST):
        raise EncoderError(f"{name}: not a number of words from 1 to {MOST}; write {family}:1000")
    return int(digits)


def are_words(words: Any, most: int) -> TypeGuard[list[str]]:
    """Whether JSON values are 1 to `most` different strings."""
    return (
        isinstance(words, list)
        and 0 < len(words) <= most
        and all(isinstance(word, str) for word in words)
        and len(set(words)) == len(words)
    )


def not_learned(family: str) -> EncoderError:
    """The error for an encoder that is asked for what it has yet to learn."""
    return EncoderError(
        f"{family} learns its words from texts, and there are none; take another text_encoder (--text-encoder)"
    )


def not_its_own(name: str) -> EncoderError:
    """The error for a state that is no vocabulary of the encoder."""
    return EncoderError(
        f"{name}: what was learned is not of this encoder, or damaged; name the encoder that learned it, "
        "or extract again with overwrite=True (--overwrite)"
    )
