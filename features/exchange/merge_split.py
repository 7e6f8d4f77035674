"""Several stores as one, and one as several; vectors are copied as they are, a shard in memory at a time."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.features.companions import CLASS_FILES, ClassVectors, read_encoder_state, write_encoder_state
from huse.features.encoder_spec import require_same
from huse.features.errors import StoreError
from huse.features.files.ahead import fetched_ahead
from huse.features.files.atomic import replacing_folder
from huse.features.files.folders import require_new
from huse.features.files.lock import locked
from huse.features.files.place import place
from huse.features.info import EMBEDDINGS
from huse.features.rows import Rows
from huse.features.store import Store

NO_SPLIT = "unsplit"
"""Folder of the rows without a split."""


def merge_stores(sources: Sequence[str | Path], out: str | Path) -> int:
    """Writes the rows of several stores, one after the other, as a new store: `huse store merge`.

    Args:
        sources: at least one store; all of the same kind and encoders.
        out: a new or empty folder.

    Returns:
        How many rows.

    Raises:
        FingerprintError: two of them were made by different encoders.
        StoreError: a key stands in two of them, a class is described in two ways, shards are missing, or `out` is not
            empty.
        ShardError: a shard is damaged.
    """
    target = place(out)
    require_new(target, StoreError, *sources)
    stores = [Store.open(source) for source in sources]
    for store in stores:
        store.require_whole()
    first = stores[0]
    for store in stores[1:]:
        if (store.info.kind, store.info.dtype) != (first.info.kind, first.info.dtype):
            there = f"{store.path} holds {store.info.kind} as {store.info.dtype}"
            raise StoreError(f"{there}, {first.path} {first.info.kind} as {first.info.dtype}; they do not mix")
        again = "embed all with one model" if first.info.kind == EMBEDDINGS else "extract again with the first"
        for modality, mine in first.info.specs.items():
            other = store.info.specs.of(modality)
            require_same(mine, other, f"{modality}: stores {first.path} and {store.path}", again)
    _require_unique(stores)
    classes = {name: _merged_classes(stores, name) for name in CLASS_FILES}
    with locked(target), replacing_folder(target) as folder:
        merged = _new(folder, first, [store.content_digest() for store in stores])
        _write_classes(merged, classes)
        return merged.write_all(_shards(stores, "merge"))


def split_store(source: str | Path, out: str | Path, parts: int = 0) -> dict[str, int]:
    """Writes the rows of a store as several: `huse store split`.

    Args:
        source: the store.
        out: a new or empty folder that gets one store for each split, ``train``, ``val``, ``test`` and ``unsplit``, or
            for each part.
        parts: when above 0, make so many stores of equal size, ``part-0`` and on, in the order of the rows.

    Returns:
        Rows by name of the new store.

    Raises:
        StoreError: the store has no rows or fewer than parts, shards are missing, or a folder is not empty.
        ShardError: a shard is damaged.
    """
    target = place(out)
    require_new(target, StoreError, source)
    store = Store.open(source)
    store.require_whole()
    total = len(store)
    if parts > total:
        raise StoreError(f"{store.path}: has {total} rows, not enough for {parts} parts")
    names = [f"part-{i}" for i in range(parts)] if parts else _splits(store)
    classes, content = {name: store.read_classes(name) for name in CLASS_FILES}, store.content_digest()
    with locked(target), replacing_folder(target) as folder:
        new = {name: _new(folder / name, store, [content, name]) for name in names}
        for one in new.values():
            _write_classes(one, classes)
        fillers = {name: one.filler() for name, one in new.items()}
        for rows, positions in _numbered(store):
            of = np.searchsorted(_bounds(total, parts), positions, "right") - 1 if parts else _split_names(rows)
            for number, name in enumerate(names):
                mine = of == (number if parts else name)
                if mine.any():
                    fillers[name].add(rows.take(mine))
        return {name: filler.finish() for name, filler in fillers.items()}


def _new(path: Path, like: Store, made_of: Sequence[str]) -> Store:
    target = Store.create(path, like.info, hashlib.sha256("\n".join(made_of).encode()).hexdigest())
    state = read_encoder_state(like.path)
    if state is not None:
        write_encoder_state(target.path, state)
    return target


def _numbered(store: Store) -> Iterator[tuple[Rows, NDArray[np.intp]]]:
    """The shards, and the number of each row in the whole store."""
    before = 0
    for rows in _shards([store], "split"):
        yield rows, np.arange(before, before + len(rows))
        before += len(rows)


def _bounds(total: int, parts: int) -> NDArray[np.intp]:
    return np.linspace(0, total, parts + 1).astype(np.intp)[:-1]


def _shards(stores: Sequence[Store], what: str) -> Iterator[Rows]:
    numbered = [(store, number) for store in stores for number in store.shard_numbers()]
    coming = fetched_ahead(numbered, lambda one: [one[0].shard_path(one[1])])
    for store, number in tqdm(coming, desc=what, total=len(numbered), unit="shard", disable=None):
        yield store.read(number)


def _require_unique(stores: Sequence[Store]) -> None:
    home: dict[str, Path] = {}
    for store in stores:
        for number in store.ahead():
            for key in store.keys(number):
                if key in home:
                    raise StoreError(
                        f"key {key!r} stands in {home[key]} and in {store.path}; remove or rename it in one"
                    )
                home[key] = store.path


def _write_classes(target: Store, classes: dict[str, ClassVectors | None]) -> None:
    for name, vectors in classes.items():
        if vectors is not None:
            target.write_classes(vectors, name)


def _merged_classes(stores: Sequence[Store], name: str) -> ClassVectors | None:
    """The classes of all stores; None when one has labels but no class vectors, or those of another encoder."""
    found = {store.path: store.read_classes(name) for store in stores}
    known = [classes for classes in found.values() if classes is not None]
    if not known:
        return None
    lacking = (store.path for store in stores if found[store.path] is None and _has_labels(store))
    why = "they are of different encoders" if len({classes.encoder for classes in known}) > 1 else ""
    if why := why or next((f"{path} has labels and none" for path in lacking), ""):
        warnings.warn(f"class vectors ({name}) are left out: {why}; extract with one class encoder", stacklevel=3)
        return None
    texts: dict[str, str] = {}
    vectors = {}
    for classes in known:
        for label, text, vector in zip(classes.labels, classes.texts, classes.vectors, strict=True):
            if texts.setdefault(label, text) != text:
                raise StoreError(f"class {label!r} is described as {texts[label]!r} and as {text!r}; extract one anew")
            vectors[label] = vector
    labels = sorted(texts)
    if not labels:
        return None
    stacked = np.stack([vectors[label] for label in labels])
    return ClassVectors(labels, [texts[label] for label in labels], stacked, known[0].encoder)


def _has_labels(store: Store) -> bool:
    return any(any(store.columns(number, ("label",))["label"]) for number in store.ahead())


def _splits(store: Store) -> list[str]:
    parts = (store.columns(number, ("split",))["split"] for number in store.ahead())
    return [split or NO_SPLIT for split in sorted({str(split) for part in parts for split in part})]


def _split_names(rows: Rows) -> NDArray[np.str_]:
    split = rows.split.astype(str)
    return np.where(split == "", NO_SPLIT, split)
