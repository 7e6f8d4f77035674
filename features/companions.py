"""What lies beside the shards of a store: class vectors, what the text encoder has learned, and the plan."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.encoder_spec import ELSEWHERE, EncoderSpec
from huse.features.errors import ShardError, StoreError
from huse.features.files.atomic import replacing
from huse.features.rows import Rows
from huse.features.settings import SETTINGS_FILE
from huse.features.shards.shard import read_shard, write_shard

CLASSES_FILE = "classes.h5"
CLASS_TEXTS_FILE = "class_texts.h5"
"""Class names by the store's text encoder, where that of `CLASSES_FILE` is another."""
CLASS_FILES = (CLASSES_FILE, CLASS_TEXTS_FILE)

MISSING = "run the command that made the store again, all its parts, or copy the files anew"
"""What to do about missing shards."""

SURPLUS = "remove the file, or run the command that made the store again"
"""What to do about shards above those of the plan."""

ENCODER_STATE_FILE = "text_encoder.json"

LEARNS = "tfidf:", "tokenizer:"
"""What the names of text encoders that learn have in them."""

PLAN_FILE = "plan.json"
FILES = (PLAN_FILE, ENCODER_STATE_FILE, SETTINGS_FILE, *CLASS_FILES)

SLASH_IN_NAME = "\u2215"
"""What stands for a ``/`` that belongs to a class name, where it would part the label path."""


@dataclass(frozen=True)
class ClassVectors:
    """The class names of a store as vectors of a text encoder, from which the semantic graph is made.

    Attributes:
        labels: K label paths, sorted.
        texts: K texts that were embedded: class names (the last part of the path) or descriptions.
        vectors: (K, D) float32, one a text.
        encoder: ``name (dimension, fingerprint)`` of the text encoder.
    """

    labels: list[str]
    texts: list[str]
    vectors: NDArray[np.float32]
    encoder: str


def class_name(label: str) -> str:
    """The shown and embedded part of a label path: its last part."""
    return label.rsplit("/", 1)[-1].replace(SLASH_IN_NAME, "/")


def write_class_vectors(file: Path, classes: ClassVectors, identity: str = "") -> None:
    """Keeps class vectors as a shard of their own, with the id of their store."""
    rows = Rows.empty(len(classes.labels), 0, classes.vectors.shape[1])
    rows.key[:] = classes.labels
    rows.caption[:] = classes.texts
    rows.text.vectors[:], rows.text.present[:] = classes.vectors, True
    mine = {"store": identity} if identity else {}
    write_shard(file, rows, {"kind": "classes", "encoder": classes.encoder, **mine}, "float32")


def read_class_vectors(file: Path, identity: str = "") -> ClassVectors | None:
    """The class vectors in a file, or None when it is not there.

    Args:
        file: written by `write_class_vectors`.
        identity: the id of the store that they must be of; empty for any.

    Raises:
        ShardError: the file is damaged.
    """
    if not file.exists():
        return None
    rows, attributes = read_shard(file, dtype="float32")
    if attributes.get("store", identity) != identity:
        raise ShardError(f"{file}: is another store's; remove the file and run the command that made the store again")
    if attributes.get("kind") != "classes":
        raise ShardError(f"{file}: holds {attributes.get('kind')}, not classes; put back the file as it was")
    return ClassVectors(
        list(rows.key), list(rows.caption), rows.text.vectors.astype(np.float32), str(attributes["encoder"])
    )


def write_encoder_state(folder: Path, state: Any) -> None:
    """Keeps what a fitted text encoder has learned, as JSON."""
    with replacing(folder / ENCODER_STATE_FILE) as temporary:
        values = {"digest": _digest(state), "state": state}
        temporary.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def read_encoder_state(folder: Path) -> Any:
    """What the text encoder of a store or a model has learned; None when it learns nothing, or nothing is there.

    Raises:
        StoreError: the file is damaged.
    """
    file = folder / ENCODER_STATE_FILE
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise StoreError(f"{file}: damaged ({error}); put back the file as it was, or make it again") from error
    if isinstance(values, dict) and "state" in values:
        if values.get("digest") != _digest(values["state"]):
            raise StoreError(f"{file}: does not match its digest; put back the file as it was, or make it again")
        return values["state"]
    return values  # of a store of version 1


def require_encoder_state(folder: Path, text: EncoderSpec | None) -> Any:
    """What the text encoder of a store has learned, which must be there if it learns.

    Raises:
        StoreError: it is missing or damaged.
    """
    state = read_encoder_state(folder)
    if state is None and text is not None and _learns(text):
        raise StoreError(f"{folder / ENCODER_STATE_FILE}: missing, {text} has learned it; run huse extract again")
    return state


def _learns(text: EncoderSpec) -> bool:
    return text.preprocessing != ELSEWHERE and any(name in text.name for name in LEARNS)


def write_plan(folder: Path, identity: str, shards: int) -> None:
    """Keeps how many shards a store has when the run that fills it is done."""
    with replacing(folder / PLAN_FILE) as temporary:
        values = {"shards": shards, "digest": _digest([identity, shards])}
        temporary.write_text(json.dumps(values) + "\n", encoding="utf-8")


def read_plan(folder: Path, identity: str) -> int | None:
    """How many shards a store ought to have; None when nothing tells.

    Raises:
        StoreError: the file that tells is damaged, or of another store.
    """
    file = folder / PLAN_FILE
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        shards = values["shards"]
        if not isinstance(shards, int) or isinstance(shards, bool) or shards < 0:
            raise ValueError(f"{shards!r} shards")
        if identity and values.get("digest") != _digest([identity, shards]):
            raise ValueError("its digest does not match, it was edited or is of another store")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        again = "delete it, and run the command that made the store again"
        raise StoreError(f"{file}: damaged ({error}); {again}") from error
    return shards


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
