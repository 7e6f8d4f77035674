"""What the changes files of embeddings have said so far, shard by shard: Parquet, written and read a shard at a time.

A row group has the rows of a shard: their keys, and of each 16 bytes of BLAKE2b of what was said of it. Zeros stand for
a key that is in doubt: a changes file that names it may have been taken or not.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import ShardError, UnreadableError
from huse.features.extras import require
from huse.features.files.cache import healed, local_copy
from huse.features.modality import DIGEST_BYTES
from huse.features.shards.hdf5 import NOT_DAMAGE

CHANGES_FOLDER, DELIVERED_FILE = "changes", "delivered.parquet"
FORMAT = {"format": "huse-delivered", "version": 1}
META = b"huse"
"""Name of the file's description among its metadata."""

NO_SHARD = -1
"""Number of a group whose rows are in no shard any more."""

AGAIN = "put back a copy of it; or remove it and empty the database, and the next changes say all rows"

Digests = NDArray[np.bytes_]
"""(n,) of 16 bytes, zeros for doubt."""


@dataclass(frozen=True, eq=False)
class Group:
    """What was said of the rows of a shard.

    Attributes:
        shard: number of the shard.
        content: content digest of the shard when that was said; empty when a row is in doubt.
        keys: n keys, as an Arrow array of strings.
        key_digests: the digests of the keys, by which they are compared.
        digests: the digests of what was said of them.
    """

    shard: int
    content: str
    keys: Any
    key_digests: Digests
    digests: Digests

    def described(self) -> dict[str, Any]:
        """What the file says of the group beside its rows."""
        digest = hashlib.sha256(self.key_digests.tobytes() + self.digests.tobytes()).hexdigest()
        return {"shard": self.shard, "content": self.content, "digest": digest}


def digests_of(values: Sequence[bytes]) -> Digests:
    """Digests as an array."""
    return np.array(values, f"S{DIGEST_BYTES}")


def key_digests(keys: Sequence[str]) -> Digests:
    """The digests of some keys."""
    return digests_of([hashlib.blake2b(key.encode(), digest_size=DIGEST_BYTES).digest() for key in keys])


def strings(values: Sequence[str]) -> Any:
    """Strings as an Arrow array."""
    arrow = require("pyarrow", "parquet", DELIVERED_FILE)
    return arrow.array(values, arrow.string())


def in_doubt(keys: Any) -> Group:
    """Keys that are in no shard, of which it is not known what was said."""
    return Group(NO_SHARD, "", keys, key_digests(keys.to_pylist()), digests_of([b""] * len(keys)))


@dataclass(frozen=True)
class Delivered:
    """What was said so far of some embeddings.

    Attributes:
        path: the file; need not be there.
        feed: what all changes files of these embeddings have in common.
        said: of what the changes were: the model and the columns, as JSON; empty when nothing was said.
        described: what the file says of its groups.
    """

    path: Path
    feed: str
    said: str = ""
    described: tuple[dict[str, Any], ...] = ()

    @classmethod
    def open(cls, embeddings: Path) -> Delivered:
        """What was said of the embeddings in a folder, all of it compared with its digests; nothing when none was.

        Raises:
            UnreadableError: the file could not be read this time.
            ShardError: it is damaged.
        """
        path = embeddings / CHANGES_FOLDER / DELIVERED_FILE
        return healed(path, lambda: _opened(path)) if path.exists() else cls(path, uuid4().hex)

    def __iter__(self) -> Iterator[Group]:
        """The groups, each verified."""
        if not self.described:
            return
        parquet, copy = require("pyarrow.parquet", "parquet", self.path.name), local_copy(self.path)
        with _told(self.path), parquet.ParquetFile(copy, page_checksum_verification=True) as file:
            for number, described in enumerate(self.described):
                group = _group(file.read_row_group(number, use_threads=False), described)
                if group.described() != described:
                    raise ValueError("does not match its digest")
                yield group


def _opened(path: Path) -> Delivered:
    parquet, copy = require("pyarrow.parquet", "parquet", path.name), local_copy(path)
    with _told(path), parquet.ParquetFile(copy, page_checksum_verification=True) as file:
        values = json.loads(file.schema_arrow.metadata[META])
        written = values.pop("digest")
        if written != _digest(values) or {name: values[name] for name in FORMAT} != FORMAT:
            raise ValueError("does not match its digest, or is of another version")
        if len(values["groups"]) != file.num_row_groups:
            raise ValueError("has lost groups")
        found = Delivered(path, values["feed"], values["said"], tuple(values["groups"]))
    for _ in found:
        pass
    return found


def _group(table: Any, described: dict[str, Any]) -> Group:
    keys, digests = (table.column(name).combine_chunks() for name in ("key", "digest"))
    named = key_digests(keys.to_pylist())
    return Group(described["shard"], described["content"], keys, named, digests_of(digests.to_pylist()))


@contextmanager
def writing_delivered(path: Path, feed: str, said: str) -> Iterator[Callable[[Group], None]]:
    """Writes a file of what was said; yields what takes its groups."""
    arrow, parquet = (require(name, "parquet", DELIVERED_FILE) for name in ("pyarrow", "pyarrow.parquet"))
    schema = arrow.schema([("key", arrow.string()), ("digest", arrow.binary(DIGEST_BYTES))])
    groups: list[dict[str, Any]] = []
    with parquet.ParquetWriter(path, schema, write_page_checksum=True, store_schema=False) as writer:

        def write(group: Group) -> None:
            if len(group.digests):
                buffers = [None, arrow.py_buffer(group.digests.tobytes())]
                digests = arrow.Array.from_buffers(schema.field("digest").type, len(group.digests), buffers)
                writer.write_table(arrow.table([group.keys, digests], schema=schema), len(group.digests))
                groups.append(group.described())

        yield write
        values = {**FORMAT, "feed": feed, "said": said, "groups": groups}
        writer.add_key_value_metadata({META: json.dumps({**values, "digest": _digest(values)})})


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Makes whatever a damaged file raises in the block one line that names it."""
    arrow = require("pyarrow", "parquet", path.name)
    try:
        yield
    except (arrow.ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno in NOT_DAMAGE:
            advice = "make it readable, and run the command again"
            raise UnreadableError(f"{path}: cannot be read ({os.strerror(error.errno)}); {advice}") from error
        raise ShardError(
            f"{path}: damaged ({' '.join(str(error).split()) or type(error).__name__}); {AGAIN}"
        ) from error


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
