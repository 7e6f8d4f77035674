"""Approximate nearest neighbors by FAISS, for more vectors than can be compared one by one.

An index lies beside the embeddings, in `index/`, and names the shards it was made of: when they change it is made anew.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.embed.gallery import Gallery, Hit, hit_of, nearest
from huse.features.atomic import replacing
from huse.features.errors import QueryError
from huse.features.extras import require
from huse.features.rows import Rows
from huse.features.shard import read_attributes, read_columns, read_slice
from huse.features.store import Store

AUTO, EXACT, HNSW, IVFPQ = "auto", "exact", "hnsw", "ivfpq"
KINDS = (AUTO, EXACT, HNSW, IVFPQ)
EXACT_ROWS, HNSW_ROWS = 1_000_000, 10_000_000
"""Rows up to which `auto` compares with all, and up to which it keeps whole vectors in memory."""

NEIGHBORS, BUILD_EFFORT, SEARCH_EFFORT = 32, 100, 256
"""HNSW: links a vector, and candidates looked at while building and while searching."""

BYTES_A_VECTOR, PROBES = 64, 64
"""IVF-PQ: length of a code, and lists looked into."""

FOLDER = "index"
SAMPLE, SAMPLE_K = 100, 10
"""Queries and neighbors by which the recall of a new index is measured."""

SHOWN = ("key", "label", "caption", "uri", "prediction")


@dataclass(frozen=True)
class Index:
    """An index over the rows of a store that have a vector of a gallery.

    Attributes:
        store: the rows.
        gallery: ``image``, ``text`` or ``fused``.
        kind: ``hnsw`` or ``ivfpq``.
        recall: share of the true 10 nearest among the 10 found, over a sample of stored vectors; 1 is exact.
        faiss: the index itself; its numbers count the rows that are there, in the order of the shards.
    """

    store: Store
    gallery: str
    kind: str
    recall: float
    faiss: Any

    def nearest(self, queries: NDArray[np.floating], k: int) -> list[list[Hit]]:
        """For each of (q, D) unit vectors about the k nearest rows, nearest first."""
        scores, numbers = self.faiss.search(np.ascontiguousarray(queries, np.float32), k)
        return [
            [self._places.hit(int(n), float(s)) for s, n in zip(*pair, strict=True) if n >= 0]
            for pair in zip(scores, numbers, strict=True)
        ]

    @cached_property
    def _places(self) -> _Places:
        return _Places(self.store, self.gallery)


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


def open_index(store: Store, gallery: str, kind: str, say: Callable[[str], None] = _tell) -> Index:
    """The index of a store as it is now; made, and its recall told, when there is none.

    Args:
        store: embeddings.
        gallery: which vectors.
        kind: ``hnsw`` or ``ivfpq``.
        say: receives a line when an index was made.

    Raises:
        ExtraError: FAISS is not installed.
        QueryError: no row has such a vector.
    """
    faiss = require("faiss", "search", f"an index of kind {kind}")
    digest = content_digest(store)
    name = store.path / FOLDER / f"{gallery}-{kind}"
    described = _read_description(name.with_suffix(".json"))
    if described.get("digest") == digest:
        return Index(store, gallery, kind, described["recall"], faiss.read_index(str(name.with_suffix(".faiss"))))
    built = _build(faiss, store, gallery, kind)
    recall = _recall(built, store, gallery)
    name.parent.mkdir(exist_ok=True)
    name.with_suffix(".json").unlink(missing_ok=True)  # an index without its description is no index
    with replacing(name.with_suffix(".faiss")) as temporary:
        faiss.write_index(built, str(temporary))
    with replacing(name.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps({"digest": digest, "recall": recall, "vectors": built.ntotal}) + "\n")
    say(
        f"made an index ({kind}) of {built.ntotal} {gallery} vectors: finds {recall:.1%} of the true {SAMPLE_K} nearest"
    )
    return Index(store, gallery, kind, recall, built)


def content_digest(store: Store) -> str:
    """SHA-256 over the content digests of all shards."""
    digest = hashlib.sha256()
    for index in store.shard_indices():
        digest.update(f"{index}:{read_attributes(store.shard_path(index))['content_digest']}\n".encode())
    return digest.hexdigest()


def _read_description(path: Path) -> dict[str, Any]:
    try:
        described: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return described


def _build(faiss: Any, store: Store, gallery: str, kind: str) -> Any:
    spec = store.info.image or store.info.text
    dimension = spec.dimension if spec else 0
    total = sum(int(_there(store, i, gallery).sum()) for i in store.shard_indices())
    if not total:
        raise QueryError(f"{store.path}: no row has a vector of modality {gallery}; try another --gallery")
    if kind == HNSW:
        index = _empty_hnsw(faiss, dimension, store.info.dtype)
    else:
        index = _trained_ivfpq(faiss, store, gallery, dimension, total)
    with tqdm(total=total, desc=f"index ({kind})", unit="row", disable=None) as bar:
        for rows in store:
            part = Gallery.of(rows, gallery)
            index.add(np.ascontiguousarray(part.vectors[part.there], np.float32))
            bar.update(int(part.there.sum()))
    return index


def _empty_hnsw(faiss: Any, dimension: int, dtype: str) -> Any:
    """HNSW that keeps vectors as the store has them; float16 is faster than float32, in half the memory."""
    storage = "SQfp16" if dtype == "float16" else "Flat"
    index = faiss.index_factory(dimension, f"HNSW{NEIGHBORS},{storage}", faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = BUILD_EFFORT, SEARCH_EFFORT
    return index


def _trained_ivfpq(faiss: Any, store: Store, gallery: str, dimension: int, total: int) -> Any:
    lists = max(1, min(int(4 * total**0.5), total // 39))  # k-means wants 39 vectors a list
    code = next(size for size in range(min(BYTES_A_VECTOR, dimension), 0, -1) if dimension % size == 0)
    bits = min(8, max(1, int(np.log2(max(total // 39, 2)))))
    index = faiss.index_factory(dimension, f"IVF{lists},PQ{code}x{bits}", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = PROBES
    index.train(_sample(store, gallery, max(64 * lists, 256 * 39)))
    return index


def _sample(store: Store, gallery: str, size: int) -> NDArray[np.float32]:
    """About `size` of the vectors, from all shards."""
    rng = np.random.default_rng(0)
    share = min(1.0, size / max(len(store), 1))
    parts = []
    for rows in store:
        part = Gallery.of(rows, gallery)
        chosen = np.flatnonzero(part.there & (rng.random(len(rows)) < share))
        parts.append(part.vectors[chosen].astype(np.float32))
    return np.ascontiguousarray(np.concatenate(parts))


def _recall(index: Any, store: Store, gallery: str) -> float:
    """Share of the true nearest that the index finds, each sampled vector itself left out."""
    queries = _sample(store, gallery, SAMPLE)
    if not len(queries):
        queries = _sample(store, gallery, len(store))[:1]
    places = _Places(store, gallery)
    _, found = index.search(queries, SAMPLE_K + 1)
    truth = nearest((Gallery.of(rows, gallery) for rows in store), queries, SAMPLE_K + 1)
    shares = []
    for numbers, hits in zip(found, truth, strict=True):
        keys = {places.hit(int(n), 0.0).key for n in numbers if n >= 0}
        others = [hit.key for hit in hits[1:]]
        shares.append(sum(key in keys for key in others) / len(others) if others else 1.0)
    return sum(shares) / len(shares)


class _Places:
    """Where in a store the numbered vectors of an index are; rows are read when they are asked for."""

    def __init__(self, store: Store, gallery: str) -> None:
        self.store = store
        self.indices = store.shard_indices()
        self.places = [np.flatnonzero(_there(store, i, gallery)) for i in self.indices]
        self.ends = np.cumsum([len(p) for p in self.places])

    def hit(self, number: int, score: float) -> Hit:
        """The row of a vector as a hit."""
        shard = int(np.searchsorted(self.ends, number, side="right"))
        place = int(self.places[shard][number - (self.ends[shard] - len(self.places[shard]))])
        columns = read_slice(self.store.shard_path(self.indices[shard]), SHOWN, place, place + 1)
        rows = Rows.empty(1, 0, 0)
        for name, values in columns.items():
            setattr(rows, name, values)
        return hit_of(rows, 0, score)


def _there(store: Store, index: int, gallery: str) -> NDArray[np.bool_]:
    columns = read_columns(store.shard_path(index), ("has_image", "has_text"))
    there = columns["has_image"] | columns["has_text"] if gallery == "fused" else columns[f"has_{gallery}"]
    return np.asarray(there, bool)
