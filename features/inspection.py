"""What a store holds, and whether every file of it is as it was written; vectors are read to verify alone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from huse.features.columns import FAILURE_STRINGS, PRESENT
from huse.features.companions import CLASS_FILES, ENCODER_STATE_FILE, MISSING, PLAN_FILE, SURPLUS, require_encoder_state
from huse.features.delivered import CHANGES_FOLDER, DELIVERED_FILE, Delivered
from huse.features.errors import HuseError, PlaceError, StoreError, UnreadableError
from huse.features.failure import Failure
from huse.features.files.cache import local_copy
from huse.features.modality import MODALITIES
from huse.features.settings import SETTINGS_FILE, check_settings
from huse.features.store import Store

FEATURES_FOLDER, INDEX_FOLDER = "features", "index"
HITS_PAGE = "search.html"
BESIDE = (FEATURES_FOLDER, INDEX_FOLDER, CHANGES_FOLDER, HITS_PAGE)
"""What embeddings may have beside their shards."""


@dataclass(frozen=True)
class Verification:
    """What is wrong with a store, by file name.

    Attributes:
        problems: what is damaged, missing, or no part of it.
        unread: what could not be read this time; nothing is known of it.
    """

    problems: dict[str, str]
    unread: dict[str, str]


def verify_store(store: Store) -> dict[str, str]:
    """All that `verification` finds; empty when all is well."""
    found = verification(store)
    return found.problems | found.unread


def verification(store: Store) -> Verification:
    """Reads every byte of every file of a store.

    Raises:
        PlaceError: no copies of objects can be kept in the cache.
    """
    problems, unread = dict[str, str](), dict[str, str]()
    checks: dict[str, Callable[[], Any]] = {PLAN_FILE: store.planned_shards}
    checks[ENCODER_STATE_FILE] = partial(require_encoder_state, store.path, store.info.text)
    checks[SETTINGS_FILE] = partial(check_settings, store.path / SETTINGS_FILE)
    checks |= {name: partial(store.read_classes, name) for name in CLASS_FILES}
    checks |= {store.shard_path(number).name: partial(store.read, number) for number in store.shard_numbers()}
    checks[f"{CHANGES_FOLDER}/{DELIVERED_FILE}"] = partial(Delivered.open, store.path)
    checks |= {f"{INDEX_FOLDER}/{file.name}": partial(_require_index, file) for file in _indexes(store.path)}
    for name, check in tqdm(checks.items(), desc="verify", unit="file", disable=None):
        try:
            check()
        except PlaceError:  # of the cache, on this machine: nothing is known of the file
            raise
        except (UnreadableError, OSError) as error:
            unread[name] = str(error)
        except HuseError as error:
            problems[name] = str(error)
    if PLAN_FILE not in problems | unread:
        missing, surplus = map(store.shard_path, store.missing_shards()), map(store.shard_path, store.surplus_shards())
        problems |= {path.name: f"{path}: missing; {MISSING}" for path in missing}
        problems |= {path.name: f"{path}: more than the plan has; {SURPLUS}" for path in surplus}
    foreign = [entry for entry in store.path.iterdir() if not store.is_own(entry) and not _is_harmless(entry.name)]
    problems |= {entry.name: f"{entry}: no part of the store; move it away" for entry in sorted(foreign)}
    features = _features_verification(store)
    return Verification(problems | features.problems, unread | features.unread)


def _is_harmless(name: str) -> bool:
    """What embeddings keep beside their shards, and what desktops leave everywhere."""
    return name in BESIDE or name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini")


def inspect_store(store: Store) -> dict[str, Any]:
    """What a store holds, as JSON-ready figures."""
    splits: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    present = Counter(dict.fromkeys(MODALITIES, 0))
    size = failed = 0
    for number in store.ahead():
        columns = store.columns(number, ("split", "label", PRESENT.image, PRESENT.text, "failure_key"))
        splits.update(value or "(none)" for value in columns["split"])
        labels.update(value for value in columns["label"] if value)
        present.update({modality: int(columns[name].sum()) for modality, name in PRESENT.items()})
        failed += len(columns["failure_key"])
        size += store.shard_path(number).stat().st_size
    info = store.info.to_dict()
    return {
        "path": str(store.path),
        "kind": store.info.kind,
        "rows": sum(splits.values()),
        "shards": len(store.shard_numbers()),
        "missing_shards": len(store.missing_shards()),
        "bytes": size,
        "image": info["image"],
        "text": info["text"],
        "dtype": store.info.dtype,
        "compression": store.info.compression,
        **{f"with_{modality}": count for modality, count in present.items()},
        "classes": len(labels),
        "splits": dict(sorted(splits.items())),
        "failures": failed,
    }


def list_failures(store: Store) -> list[Failure]:
    """What went wrong in the rows of all shards."""
    parts = (store.columns(number, FAILURE_STRINGS) for number in store.ahead())
    return [Failure(*each) for part in parts for each in zip(*(part[n] for n in FAILURE_STRINGS), strict=True)]


def _features_verification(store: Store) -> Verification:
    """What is wrong with the features that embeddings were made of."""
    folder = store.path / FEATURES_FOLDER
    if not folder.exists():
        return Verification({}, {})
    try:
        found = verification(Store.open(folder))
    except StoreError as error:
        return Verification({FEATURES_FOLDER: str(error)}, {})
    problems, unread = (
        {f"{FEATURES_FOLDER}/{name}": what for name, what in files.items()} for files in (found.problems, found.unread)
    )
    return Verification(problems, unread)


def _indexes(folder: Path) -> list[Path]:
    """The indexes of embeddings; files without a description are no index, and made anew."""
    return sorted((folder / INDEX_FOLDER).glob("*.faiss"))


def _require_index(file: Path) -> None:
    """Refuses an index that is not the one that its description was written for."""
    again = "delete it, the next search makes it anew"
    try:
        described = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        written = described["file"]
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{file}: its description is missing or damaged ({error}); {again}") from error
    with local_copy(file).open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != written:
            raise StoreError(f"{file}: does not match its digest; {again}")
