"""Approximate nearest neighbors by FAISS, for more vectors than can be compared one by one.

An index lies beside the embeddings, in `index/`. Its description names the shards it was made of and has the digest of
its file: when either differs it is made anew.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.embed.search.gallery import Hit
from huse.embed.search.index_build import HNSW, IVFPQ, SAMPLE_K, build_index, recall_of
from huse.embed.search.positions import Positions, positions_in_memory, positions_on_disk
from huse.features.errors import QueryError
from huse.features.extras import require
from huse.features.files.atomic import replacing
from huse.features.files.cache import local_copy
from huse.features.files.folders import require_place
from huse.features.files.lock import locked
from huse.features.rows import Rows
from huse.features.store import Store

AUTO, EXACT = "auto", "exact"
KINDS = (AUTO, EXACT, HNSW, IVFPQ)
EXACT_ROWS, HNSW_ROWS = 1_000_000, 10_000_000
"""Rows up to which `auto` compares with all, and up to which it keeps whole vectors in memory."""

FOLDER = "index"


@dataclass(frozen=True)
class Index:
    """An index over the rows of a store that have a vector of a gallery.

    Attributes:
        recall: share of the true 10 nearest among the 10 found, over a sample of stored vectors; 1 is exact.
        faiss: the index itself; its numbers count the rows that are there, in the order of the shards.
        positions: the rows of these numbers.
    """

    recall: float
    faiss: Any
    positions: Positions

    def nearest(self, queries: NDArray[np.floating], k: int) -> list[list[Hit]]:
        """For each of (q, D) unit vectors about the k nearest rows, nearest first."""
        scores, numbers = self.faiss.search(np.ascontiguousarray(queries, np.float32), min(k, len(self.positions)))
        return [
            [self.positions.hit(int(n), float(s)) for s, n in zip(*pair, strict=True) if n >= 0]
            for pair in zip(scores, numbers, strict=True)
        ]


@dataclass(frozen=True)
class Description:
    """What is known of an index on disk.

    Attributes:
        digest: of the shards it was made of, see `Store.content_digest`.
        recall: as of `Index`.
        vectors: how many it has.
        file: SHA-256 of the file that FAISS wrote.
    """

    digest: str
    recall: float
    vectors: int
    file: str


class NoVectorsError(QueryError):
    """No row has a vector of a gallery."""


class _DamageError(Exception):
    """An index or its description is not what was written."""


def choose_kind(store: Store, index: str) -> str:
    """The kind of index for a store.

    Raises:
        QueryError: no such kind.
    """
    if index not in KINDS:
        raise QueryError(f"no index {index!r}; use {', '.join(KINDS)}")
    if index != AUTO:
        return index
    rows = len(store)
    return EXACT if rows <= EXACT_ROWS else HNSW if rows <= HNSW_ROWS else IVFPQ


def _tell(line: str) -> None:
    tqdm.write(line, file=sys.stderr)  # standard output is for results, which may be JSON


def open_index(
    store: Store,
    gallery: str,
    kind: str,
    say: Callable[[str], None] = _tell,
    shards: Sequence[Rows] | None = None,
    digest: str = "",
) -> Index:
    """The index of a store as it is now, or of its rows in memory; made, and its recall told, unless one is there.

    Args:
        store: embeddings.
        gallery: which vectors.
        kind: ``hnsw`` or ``ivfpq``.
        say: receives a line when an index was made, and one when one was damaged.
        shards: the rows of all shards, when they are in memory.
        digest: `Store.content_digest` when they were read, as the store may have been refreshed; else of now.

    Raises:
        ExtraError: FAISS is not installed.
        NoVectorsError: no row has such a vector.
        QueryError: the index cannot be written.
    """
    faiss = require("faiss", "search", f"an index of kind {kind}")
    digest = digest or store.content_digest()
    positions = positions_on_disk(store, gallery) if shards is None else positions_in_memory(shards, gallery)
    if not len(positions):
        raise NoVectorsError(
            f"{store.path}: no row has a vector of modality {gallery}; try another gallery (--gallery)"
        )
    path = store.path / FOLDER / f"{gallery}-{kind}.faiss"
    try:
        kept = _read(faiss, path, digest, positions)
    except _DamageError:
        kept = None
    return kept or _make(faiss, store, path, (gallery, kind), digest, positions, say, shards)


def _make(
    faiss: Any,
    store: Store,
    path: Path,
    what: tuple[str, str],
    digest: str,
    positions: Positions,
    say: Callable[[str], None],
    shards: Sequence[Rows] | None,
) -> Index:
    gallery, kind = what
    require_place(path.parent, QueryError, path, "use index='exact' (--index)")
    with locked(path):
        try:
            kept = _read(faiss, path, digest, positions)  # another process may have made it while this one waited
        except _DamageError as error:
            say(f"{path}: {error}; making it anew")
            kept = None
        if kept is not None:
            return kept
        rows = shards if shards is not None else store
        built = build_index(faiss, rows, gallery, kind, len(positions), store.info.dtype)
        recall = recall_of(built, rows, gallery, len(positions))
        _write(faiss, built, path, digest, recall)
    say(
        f"made an index ({kind}) of {built.ntotal} {gallery} vectors: finds {recall:.1%} of the true {SAMPLE_K} nearest"
    )
    return Index(recall, built, positions)


def _write(faiss: Any, built: Any, path: Path, digest: str, recall: float) -> None:
    """Writes an index and then its description; between the two the old description fits no file, and counts not."""
    with replacing(path) as temporary:
        try:
            faiss.write_index(built, str(temporary))
        except RuntimeError as error:  # FAISS's own, of a full disk too
            reason = str(error).splitlines()[0].rpartition("(")[2].rstrip(")")
            raise QueryError(
                f"{path}: the index cannot be written ({reason}); make room, or use index='exact' (--index)"
            ) from error
        file = _file_digest(temporary)
    described = Description(digest, recall, built.ntotal, file)
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(asdict(described)) + "\n", encoding="utf-8")


def _read(faiss: Any, path: Path, digest: str, positions: Positions) -> Index | None:
    """The index on disk; None when there is none, or one of other shards."""
    try:
        described = Description(**json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
        if described.digest != digest:
            return None
        if described.file != _file_digest(path):
            raise _DamageError("differs from what was written")
        index = faiss.read_index(str(local_copy(path)))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, RuntimeError) as error:
        raise _DamageError(f"cannot be read ({str(error).splitlines()[0]})") from error
    recall = described.recall
    if index.ntotal != len(positions) or not isinstance(recall, float) or not 0 <= recall <= 1:
        raise _DamageError("does not fit the embeddings")
    return Index(recall, index, positions)


def _file_digest(path: Path) -> str:
    with local_copy(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
