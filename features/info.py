"""store.json: what holds for a whole store, written once when it is made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huse.features.codes import BINARY, BITS, CODES, FLOATS, INT8
from huse.features.encoder_spec import EncoderSpec, require_same
from huse.features.errors import StoreError
from huse.features.files.atomic import replacing
from huse.features.modality import MODALITIES, Pair

STORE_FILE = "store.json"
STORE_VERSION = 2
FEATURES = "features"
EMBEDDINGS = "embeddings"

CHOICES = {
    "kind": (FEATURES, EMBEDDINGS),
    "dtype": (*FLOATS, *CODES),
    "compression": ("", "lzf", "gzip"),
}


@dataclass(frozen=True)
class StoreInfo:
    """What holds for a whole store; written once as store.json.

    Attributes:
        kind: ``features`` (frozen encoders) or ``embeddings`` (trained towers).
        image: spec of the image vectors, None when the store has no images.
        text: spec of the text vectors, None when the store has no texts.
        shard_size: most rows a shard.
        dtype: stored type of the vectors, ``float16`` or ``float32``; of embeddings also ``int8`` or ``binary``, see
            `huse.features.codes`.
        compression: ``""``, ``lzf`` or ``gzip``.

    Raises:
        StoreError: a value is not one of those, or not with the others.
    """

    kind: str
    image: EncoderSpec | None
    text: EncoderSpec | None
    shard_size: int = 10_000
    dtype: str = "float16"
    compression: str = ""

    def __post_init__(self) -> None:
        values = vars(self)
        for name, allowed in CHOICES.items():
            if values[name] not in allowed:
                named = " or ".join(repr(choice) for choice in allowed)
                raise StoreError(f"{name} is {values[name]!r}; it must be {named}")
        if not _is_count(self.shard_size):
            raise StoreError(f"shard_size is {self.shard_size!r}; it must be a whole number above 0")
        for spec in self.specs.given().values():
            if not _is_count(spec.dimension):
                raise StoreError(f"dimension of {spec.name} is {spec.dimension!r}; it must be a whole number above 0")
        self._require_codes()

    def _require_codes(self) -> None:
        """Refuses codes of what they do not fit."""
        if self.dtype in CODES and self.kind == FEATURES:
            raise StoreError(
                f"dtype is {self.dtype!r}; features are kept as {' or '.join(FLOATS)}, embeddings alone so"
            )
        odd = [spec.dimension for spec in self.specs.given().values() if spec.dimension % BITS]
        if self.dtype == BINARY and odd:
            raise StoreError(
                f"dtype is {BINARY!r}, which keeps {BITS} dimensions a byte, and the vectors have {odd[0]}; use "
                f"dtype={INT8!r} (--dtype), or a dimension that is a multiple of {BITS} (--dimension)"
            )

    @property
    def specs(self) -> Pair[EncoderSpec | None]:
        """The specs of both modalities."""
        return Pair(image=self.image, text=self.text)

    @property
    def widths(self) -> Pair[int]:
        """Length of the vectors of each modality, 0 for one that is absent."""
        return self.specs.map(lambda spec: spec.dimension if spec else 0)

    @property
    def dimension(self) -> int:
        """Length of the vectors of embeddings, the same in both modalities."""
        return max(self.widths.image, self.widths.text)

    def to_dict(self) -> dict[str, Any]:
        """The info as JSON-ready values."""
        specs = {
            modality: spec and {**spec.to_dict(), "fingerprint": spec.fingerprint}
            for modality, spec in self.specs.items()
        }
        return {**vars(self), **specs, "format": "huse-store", "version": STORE_VERSION}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> StoreInfo:
        """The info that `to_dict` wrote.

        Raises:
            StoreError: the values are of another version, or a fingerprint does not match its spec.
        """
        values = dict(values)
        if values.pop("format", None) != "huse-store" or values.pop("version", None) not in (1, STORE_VERSION):
            raise StoreError(f"is not of store version 1 to {STORE_VERSION}")
        for modality in MODALITIES:
            if values[modality] is not None:
                written = values[modality].pop("fingerprint")
                values[modality] = EncoderSpec(**values[modality])
                if values[modality].fingerprint != written or values[modality].modality != modality:
                    raise StoreError(f"the {modality} spec was edited, its fingerprint does not match")
        return cls(**values)


def write_info(folder: Path, info: StoreInfo, origin: str) -> str:
    """Writes store.json and returns the id of the store: a digest of the info and of what the store is made from.

    Args:
        folder: the store.
        info: what to keep.
        origin: a digest of the manifest or the arrays; equal ones give equal stores, byte for byte.
    """
    values = info.to_dict()
    values["id"] = _digest({**values, "origin": origin})[:32]
    values["digest"] = _digest(values)
    with replacing(folder / STORE_FILE) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return str(values["id"])


def read_info(folder: Path) -> tuple[StoreInfo, str]:
    """What store.json says: the info, and the store's id, empty for stores of version 1.

    Raises:
        StoreError: no store there, or its store.json is damaged or was edited.
    """
    file = folder / STORE_FILE
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise StoreError("is not an object")
        written, version = values.pop("digest", None), values.get("version")
        if version != 1 and written != _digest(values):
            raise StoreError("was edited or damaged, its digest does not match")
        identity = values.pop("id", "")
        return StoreInfo.from_dict(values), str(identity)
    except FileNotFoundError as error:
        raise StoreError(
            f"{folder}: no {STORE_FILE} there; make a store with huse extract MANIFEST {folder}"
        ) from error
    except StoreError as error:
        raise StoreError(f"{file}: {error}; put back the file as it was, or make the store again") from error
    except NotADirectoryError as error:
        raise StoreError(f"{folder}: lies in a file or is one; name the folder of a store") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{file}: damaged or not a huse store ({error})") from error


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def require_same_info(path: Path, there: StoreInfo, here: StoreInfo) -> None:
    """Refuses to write into a store of other vectors or another layout.

    Raises:
        FingerprintError: the store was made by other encoders.
        StoreError: the store has another shard size, type or compression.
    """
    for modality, spec in here.specs.items():
        require_same(there.specs.of(modality), spec, f"{modality}: store {path} and this run")
    if there != here:
        stored, wanted = there.to_dict(), here.to_dict()
        changed = ", ".join(
            f"{name} {stored[name]!r} not {wanted[name]!r}" for name in stored if stored[name] != wanted[name]
        )
        raise StoreError(f"{path}: the store has {changed}; use its values or a new folder")
