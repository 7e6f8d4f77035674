"""The grammar of encoder names: a family and, behind a colon, its argument; names joined by a plus sign."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from huse.features.errors import EncoderError

PATHS = ("hub", "bert", "onnx")
"""Families whose argument is a path or a URL, which may hold plus signs and colons of its own."""


def split_names(name: str, families: Collection[str], free: Collection[str] = PATHS) -> list[str]:
    """The names that a plus sign joins.

    Within a name whose argument is free, such as ``hub:/data/c++/m``, a plus sign joins only where a family's name
    stands alone behind it, before a colon, another plus sign or the end.

    Args:
        name: one name, or several.
        families: all families.
        free: those with arguments that may hold plus signs.

    Raises:
        EncoderError: nothing stands on one side of a plus sign.
    """
    names = list(_split(name, families, free))
    if not all(names):
        raise EncoderError(f"encoder {name!r}: a name is missing beside a plus sign; write NAME+NAME")
    return names


def _split(name: str, families: Collection[str], free: Collection[str]) -> Iterator[str]:
    first, *rest = name.split("+")
    for part in rest:
        alone = part.partition(":")[0] in families
        if alone or not _is_free(first, free):
            yield first
            first = part
        else:
            first = f"{first}+{part}"
    yield first


def _is_free(name: str, free: Collection[str]) -> bool:
    """Whether a name's argument may hold plus signs; that of salient:N:NAME is NAME's."""
    family, _, argument = name.partition(":")
    if family == "salient":
        return _is_free(argument.partition(":")[2], free)
    return family in free


def unknown(name: str, modality: str, families: Collection[str], others: Collection[str]) -> EncoderError:
    """The error for a name of no encoder: what was meant, and where all are listed.

    Args:
        name: as it was given.
        modality: of the encoder that is wanted.
        families: those of the modality.
        others: those of the other modality.
    """
    family, colon, argument = name.partition(":")
    if not name:
        return EncoderError(f"no {modality} encoder is named; huse encoders lists them")
    if name.endswith(":"):
        return EncoderError(f"{modality} encoder {name!r}: nothing stands behind the colon; huse encoders lists all")
    if family in families:
        return EncoderError(f"{modality} encoder {name!r}: {family} takes no {argument!r}; write {family}")
    if family in others:
        other = "text" if modality == "image" else "image"
        return EncoderError(
            f"{family} is an encoder of {other}s, not of {modality}s; name it by {other}_encoder (--{other}-encoder)"
        )
    near = get_close_matches(family.lower(), families, n=1)
    meant = f"; did you mean {near[0]}{colon}{argument}?" if near else ""
    return EncoderError(f"no {modality} encoder {name!r}{meant}; huse encoders lists them")
