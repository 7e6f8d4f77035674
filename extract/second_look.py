"""Whether anything has changed since a store was filled, told without reading rows or images.

Nothing has when the manifest has the bytes that every shard was last brought to, by one plan, and every image looks as
it did. Each shard is verified all the same, so that damage is found and mended as ever.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.extract.config import ExtractConfig, ExtractSummary
from huse.extract.looking import folder_digest, look_at_all
from huse.extract.manifest.file_set import folder_of
from huse.extract.manifest.keys import key_digests
from huse.extract.manifest.locations import image_locations
from huse.extract.manifest.plan import is_of_part
from huse.extract.manifest.rows import Columns, Manifest
from huse.extract.manifest.spool import Spool
from huse.extract.manifest.written import written_digest
from huse.extract.readers import Readers
from huse.extract.reuse import look_alike
from huse.features.columns import PRESENT, Arrays
from huse.features.companions import require_encoder_state
from huse.features.errors import HuseError
from huse.features.files.place import reopen
from huse.features.info import FEATURES
from huse.features.looks import HELD, UNKNOWN, Looks, Values, read_looks
from huse.features.shards.version_2 import ShardColumns
from huse.features.store import Store


@dataclass(frozen=True)
class Unchanged:
    """A store that needs nothing.

    Attributes:
        manifest: what is known of it as a whole; it has no rows to read.
        summary: what the run did.
    """

    manifest: Manifest
    summary: ExtractSummary


def if_unchanged(manifest: Path, store: Path, columns: Columns, config: ExtractConfig) -> Unchanged | None:
    """What there is to say when nothing has changed; None when something may have, or cannot be read.

    Args:
        manifest: a table or a folder of images.
        store: a folder with store.json.
        columns: names of the manifest's columns.
        config: part and workers.
    """
    began = time.perf_counter()
    try:
        reopen(manifest)
        found = Store.open(store, FEATURES)
        require_encoder_state(store, found.info.text)
        looks = _looks_of(found)
        if not looks or looks[0].manifest != written_digest(manifest, repr(columns)):
            return None
        folder = folder_of(manifest)
        if looks[0].folder != folder_digest(folder):
            return None
        mine = [number for number in looks if is_of_part(number, *config.part)]
        labels = _labels(found, {number: looks[number].values for number in mine}, folder, config)
        if labels is None:
            return None
        for number in set(looks) - set(mine):
            labels |= set(found.columns(number, ("label",))["label"])
    except (HuseError, OSError):  # whoever reads it all tells what is wrong
        return None
    rows = sum(len(looks[number].values) for number in mine)
    images = sum(int((looks[number].values != UNKNOWN).any(axis=1).sum()) for number in mine)
    summary = ExtractSummary(rows=rows, reused=rows, trusted=images, seconds=time.perf_counter() - began)
    return Unchanged(_without_rows(manifest, folder, columns, labels - {""}, found), summary)


def _looks_of(store: Store) -> dict[int, Looks]:
    """The looks of all shards, by number; none unless all planned shards are there and are of one manifest and plan."""
    numbers = store.shard_numbers()
    if numbers != list(range(store.planned_shards() or 0)):
        return {}
    looks = {number: read_looks(store.shard_path(number)) for number in numbers}
    plans = {(its.manifest, its.plan, its.folder) for its in looks.values()}
    return looks if len(plans) == 1 and all(plans.pop()) else {}


def _labels(store: Store, looks: dict[int, Values], folder: Path, config: ExtractConfig) -> set[str] | None:
    """The labels of some shards; None when a row has not what it ought to, or its image does not look as it did."""
    labels: set[str] = set()
    with (
        Readers(config.threads) as lookers,
        tqdm(total=sum(map(len, looks.values())), desc="look", unit="row", disable=None) as bar,
    ):
        for number in looks:

            def look(shard: ShardColumns, then: Values = looks[number]) -> set[str] | None:
                return _labels_of(shard, then, folder, lookers)

            found = store.read_from(number, look)
            if found is None:
                return None
            labels |= found
            bar.update(len(looks[number]))
    return labels


def _labels_of(shard: ShardColumns, then: Values, folder: Path, lookers: Readers) -> set[str] | None:
    found = shard.read(("uri", "label", "failure_key", PRESENT.image))
    if len(found["failure_key"]) or not _look_alike(found, then, folder, lookers):
        return None  # failed rows are tried again
    shard.verify(set(shard.names) - set(found))
    return set(found["label"])


def _look_alike(columns: Arrays, then: Values, folder: Path, lookers: Readers) -> bool:
    held = (then == HELD).all(axis=1)  # is as the manifest is
    to_look = columns[PRESENT.image] & ~held
    if (then[to_look] == UNKNOWN).all(axis=1).any():
        return False
    files = image_locations(columns["uri"][to_look].tolist(), folder)
    return bool(look_alike(then[to_look], look_at_all(files, lookers)).all())


def _without_rows(path: Path, folder: Path, columns: Columns, labels: set[str], store: Store) -> Manifest:
    none: NDArray[np.bytes_] = key_digests([])
    return Manifest(
        path=path,
        folder=folder,
        digests=none,
        labels=sorted(labels),
        has_images=store.info.image is not None,
        has_texts=store.info.text is not None,
        separator=columns.label_separator,
        content="",
        spool=Spool(),
    )
