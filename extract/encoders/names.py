"""The grammar of encoder names: FAMILY, FAMILY@SIDE, each with :ARGUMENT or without; names joined by a plus sign."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from huse.features.errors import EncoderError

PATHS = ("hub", "bert", "onnx")
"""Families whose argument is a path or a URL, which may hold plus signs and colons of its own."""

MOST_SIDE = 4096
"""Pixels that can be asked for."""


@dataclass(frozen=True)
class Name:
    """An encoder's name, taken apart.

    Attributes:
        family: what stands before the colon and the at sign.
        side: pixels of the images' sides, if the name says so.
        argument: what stands behind the first colon.
    """

    family: str
    side: int | None
    argument: str

    @classmethod
    def of(cls, name: str) -> Name:
        """Takes a name apart.

        Raises:
            EncoderError: what stands behind the at sign is no side.
        """
        head, _, argument = name.partition(":")
        family, at, digits = head.partition("@")
        if not at:
            return cls(family, None, argument)
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 6 and 0 < int(digits) <= MOST_SIDE):
            raise EncoderError(f"encoder {name!r}: {digits!r} is no side of images; write {family}@64")
        return cls(family, int(digits), argument)


def sized(family: str, side: int | None, argument: str) -> str:
    """The name of these parts; of a side that goes without saying, None."""
    return family + (f"@{side}" if side else "") + (f":{argument}" if argument else "")


def family_of(name: str) -> str:
    """The family of a name, whatever stands behind it."""
    return name.partition(":")[0].partition("@")[0]


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
        alone = family_of(part) in families
        if alone or not _is_free(first, free):
            yield first
            first = part
        else:
            first = f"{first}+{part}"
    yield first


def _is_free(name: str, free: Collection[str]) -> bool:
    """Whether a name's argument may hold plus signs; that of salient:N:NAME is NAME's."""
    argument = name.partition(":")[2]
    if family_of(name) == "salient":
        return _is_free(argument.partition(":")[2], free)
    return family_of(name) in free


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
