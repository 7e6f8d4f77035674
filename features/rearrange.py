"""Several stores as one, and one as several; vectors are copied as they are, a shard in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from huse.features.encoder_spec import require_same
from huse.features.errors import StoreError
from huse.features.folders import require_empty
from huse.features.rows import Rows
from huse.features.store import CLASS_FILES, ClassVectors, Store, read_encoder_state

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
    stores = [Store.open(source) for source in sources]
    for store in stores:
        store.require_whole()
    first = stores[0]
    for store in stores[1:]:
        for modality in ("image", "text"):
            mine, other = getattr(first.info, modality), getattr(store.info, modality)
            require_same(mine, other, f"{modality}: stores {first.path} and {store.path}")
        if (store.info.kind, store.info.dtype) != (first.info.kind, first.info.dtype):
            there = f"{store.path} holds {store.info.kind} as {store.info.dtype}"
            raise StoreError(f"{there}, {first.path} {first.info.kind} as {first.info.dtype}; they do not mix")
    _require_unique(stores)
    classes = {name: _merged_classes(stores, name) for name in CLASS_FILES}
    target = _new(out, first)
    _write_classes(target, classes)
    return target.write_all(_shards(stores, "merge"))


def split_store(source: str | Path, out: str | Path, parts: int = 0) -> dict[str, int]:
    """Writes the rows of a store as several: `huse store split`.

    Args:
        source: the store.
        out: folder that gets one store for each split, ``train``, ``val``, ``test`` and ``unsplit``, or for each part.
        parts: when above 0, make so many stores of equal size, ``part-0`` and on, in the order of the rows.

    Returns:
        Rows by name of the new store.

    Raises:
        StoreError: the store has no rows or fewer than parts, shards are missing, or a folder is not empty.
        ShardError: a shard is damaged.
    """
    store = Store.open(source)
    store.require_whole()
    total = len(store)
    if parts > total:
        raise StoreError(f"{store.path}: has {total} rows, not enough for {parts} parts")
    bounds = np.linspace(0, total, parts + 1).astype(int) if parts else None
    names = [f"part-{i}" for i in range(parts)] if parts else _splits(store)
    written = {}
    for number, name in enumerate(tqdm(names, desc="split", unit="store", disable=None)):
        target = _new(Path(out) / name, store)
        _write_classes(target, {name: store.read_classes(name) for name in CLASS_FILES})
        chosen = _of_split(store, name) if bounds is None else _between(store, bounds[number], bounds[number + 1])
        written[name] = target.write_all(chosen)
    return written


def _new(out: str | Path, like: Store) -> Store:
    path = Path(out)
    require_empty(path, StoreError)
    target = Store.create(path, like.info)
    state = read_encoder_state(like.path)
    if state is not None:
        target.write_encoder_state(state)
    return target


def _shards(stores: Sequence[Store], what: str) -> Iterator[Rows]:
    places = [(store, index) for store in stores for index in store.shard_indices()]
    for store, index in tqdm(places, desc=what, unit="shard", disable=None):
        yield store.read(index)


def _require_unique(stores: Sequence[Store]) -> None:
    home: dict[str, Path] = {}
    for store in stores:
        for index in store.shard_indices():
            for key in store.keys(index):
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
    """The classes of all stores; None when one has rows but no class vectors."""
    found = [store.read_classes(name) for store in stores]
    known = [classes for classes in found if classes is not None]
    if len(known) < len(found) or len({classes.encoder for classes in known}) > 1:
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


def _splits(store: Store) -> list[str]:
    return [split or NO_SPLIT for split in sorted({str(split) for rows in store for split in rows.split})]


def _of_split(store: Store, name: str) -> Iterator[Rows]:
    split = "" if name == NO_SPLIT else name
    return (rows.take(rows.split.astype(str) == split) for rows in store)


def _between(store: Store, start: int, stop: int) -> Iterator[Rows]:
    before = 0
    for rows in store:
        places = np.arange(before, before + len(rows))
        yield rows.take((start <= places) & (places < stop))
        before += len(rows)
