"""What produced a vector: the spec of an encoder, and the fingerprint that keeps two of them apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import FingerprintError

IMPORTED = "imported"
"""Name of encoders that nothing is known of."""


@dataclass(frozen=True)
class EncoderSpec:
    """Everything that decides the value of an encoder's vectors.

    Paths, dates, worker counts, batch size and numeric precision are left out on purpose: they may differ between
    two machines whose vectors are the same.

    Attributes:
        name: registry name, such as ``vgg16`` or ``use``.
        modality: ``image`` or ``text``.
        dimension: length of the vectors.
        preprocessing: how the input is prepared, in words exact enough to repeat.
        weights: hexadecimal SHA-256 of the weights.
        source: the name by which this machine made the encoder, when it is another than `name`, such as a folder;
            not part of the fingerprint, and two specs that differ in it alone are equal.
    """

    name: str
    modality: str
    dimension: int
    preprocessing: str
    weights: str
    source: str = field(default="", compare=False)

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 of the spec."""
        decisive = {name: value for name, value in asdict(self).items() if name != "source"}
        canonical = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def __str__(self) -> str:
        """Name and short fingerprint, as messages show them."""
        return f"{self.name} ({self.dimension}-d, {self.fingerprint[:12]})"

    def to_dict(self) -> dict[str, Any]:
        """The spec as JSON-ready values."""
        return asdict(self)

    @property
    def known_as(self) -> str:
        """The name that makes this encoder again."""
        return self.source or self.name

    @classmethod
    def from_dict(cls, values: dict[str, Any] | None) -> EncoderSpec | None:
        """The spec that `to_dict` wrote, or None for a modality that is absent."""
        return None if values is None else cls(**values)


ELSEWHERE = "features made elsewhere"
"""The preprocessing of vectors that were imported."""


def imported_spec(modality: str, dimension: int, name: str = IMPORTED) -> EncoderSpec:
    """The spec of vectors made elsewhere, of which nothing is known but their length and perhaps a name."""
    return EncoderSpec(name, modality, dimension, ELSEWHERE, "unknown")


def require_same(
    expected: EncoderSpec | None,
    found: EncoderSpec | None,
    where: str,
    advice: str = "extract again with the first",
) -> None:
    """Refuses to mix the vectors of two encoders.

    Args:
        expected: the encoder already in use.
        found: the encoder of the vectors at hand.
        where: which pair disagrees, for the message, such as ``image: model MODEL and store STORE``.
        advice: what to do, for the message.

    Raises:
        FingerprintError: the fingerprints differ; the message names both encoders.
    """
    if expected == found:
        return
    raise FingerprintError(f"{where}: encoders differ, {expected or 'none'} and {found or 'none'}; {advice}")


def digest_arrays(arrays: Iterable[NDArray[Any]]) -> str:
    """SHA-256 over the shapes and float32 values of weights, the same for any file that holds them."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
    return digest.hexdigest()
