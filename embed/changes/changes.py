"""What differs in embeddings from what was said of them before, by key and content and not by position.

A database that has applied all changes files has, of each key, what `delivered.parquet` says, unless the key is in
doubt. That file is replaced twice: by one in which all that changes is in doubt, before the changes file gets its name,
and by one without doubts after that. A run that is killed between the two leaves doubts, and the next one says these
keys again; to say twice what a row is, or that a key is gone, does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from huse.embed.changes.changes_file import ChangesWriter, untaken, writing_changes
from huse.embed.changes.content import Content
from huse.embed.changes.known import Known
from huse.features.delivered import Delivered, Group, in_doubt, key_digests, strings, writing_delivered
from huse.features.files.ahead import fetched_ahead
from huse.features.files.atomic import replacing, sweep
from huse.features.files.lock import locked
from huse.features.files.place import make_folder
from huse.features.rows import Rows
from huse.features.shards.shard import read_attributes
from huse.features.store import Store


@dataclass(frozen=True)
class Changes:
    """What a changes file says.

    Attributes:
        upserts: rows that are new or have changed.
        deletes: keys that are gone.
    """

    upserts: int
    deletes: int


@dataclass(frozen=True)
class _Told:
    """What takes what is said.

    Attributes:
        changes: the changes file.
        settled: what was said once that file was taken.
        doubtful: what was said until then.
    """

    changes: ChangesWriter
    settled: Callable[[Group], None]
    doubtful: Callable[[Group], None]


def write_changes(store: Store, file: Path, model: str, fuse: bool) -> Changes:
    """Writes what differs in embeddings from what was said of them before, and keeps what was said.

    A file of that name that lies there still was not taken, and what it says is said again. Shards are read only when
    they are not as they were; of their rows the key and some digests are in memory, all at once.

    Args:
        store: the embeddings, locked by the caller.
        file: the changes file.
        model: fingerprint of the model.
        fuse: one vector a row.

    Raises:
        QueryError: `file` holds something else than changes of these embeddings.
        ShardError: the embeddings, or what was said of them, are damaged.
    """
    content = Content.of(store.info, model, fuse)
    with locked(file):
        before = Delivered.open(store.path)
        pending = untaken(file, before)
        make_folder(before.path.parent)
        sweep(file.parent)
        with (  # what is left first is renamed first
            replacing(before.path) as settled,
            replacing(file) as temporary,
            replacing(before.path) as doubtful,
            writing_delivered(settled, before.feed, content.to_json()) as settle,
            writing_delivered(doubtful, before.feed, content.to_json()) as doubt,
            writing_changes(temporary, before.feed, content) as changes,
        ):
            _compare(store, before, pending, content, _Told(changes, settle, doubt))
    return Changes(changes.upserts, changes.deletes)


def _compare(store: Store, before: Delivered, pending: list[str], content: Content, told: _Told) -> None:
    """Tells what differs from what was said before, and all that `pending` names."""
    now = {number: str(read_attributes(store.shard_path(number))["content_digest"]) for number in store.ahead()}
    alike = now if before.said == content.to_json() else {}
    named, kept, old = key_digests(pending), set(), list[Group]()
    for group in before:
        if alike.get(group.shard) == group.content and not np.isin(group.key_digests, named).any():
            kept.add(group.shard)
            told.settled(group)
            told.doubtful(group)
        else:
            old.append(group)
    known = Known(old, pending)
    numbers = [number for number in now if number not in kept]
    ahead = fetched_ahead(numbers, lambda number: [store.shard_path(number)])
    for number in tqdm(ahead, total=len(numbers), desc="changes", unit="shard", disable=None):
        _tell(number, now[number], store.read(number), known, content, told)
    gone = known.unseen()
    told.changes.delete(gone.to_pylist())
    told.doubtful(in_doubt(gone))


def _tell(number: int, digest: str, rows: Rows, known: Known, content: Content, told: _Told) -> None:
    """Tells what differs in a shard."""
    keys = rows.key.tolist()
    group = Group(number, digest, strings(keys), key_digests(keys), content.digests(rows))
    same = known.holds(group)
    told.changes.upsert(rows.take(~same))
    told.settled(group)
    told.doubtful(replace(group, content=digest if same.all() else "", digests=np.where(same, group.digests, b"")))
