"""Whole vectors on disk, by which what a first pass over small ones has found is ranked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huse.embed.prefix import of_one_model, unit_prefix
from huse.embed.search.gallery import Gallery, Hit
from huse.features.codes import CODES, FLOATS
from huse.features.columns import PRESENT, VECTORS
from huse.features.errors import FingerprintError, QueryError
from huse.features.info import EMBEDDINGS
from huse.features.modality import MODALITIES
from huse.features.rows import Rows
from huse.features.store import Store

CANDIDATES = 10
"""Rows that the first pass is to find for each that is asked for."""


class _MovedError(QueryError):
    """Rows are no longer where their keys were."""


class Rescorer:
    """Ranks hits anew by the vectors of their rows in another store, of which these rows alone are read.

    The store may be refreshed meanwhile: keys are read with the vectors, and looked up again where they have moved.

    Args:
        store: see `open_whole`.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @cached_property
    def _positions(self) -> dict[str, tuple[int, int]]:
        """Shard and position of each key."""
        return {key: (shard, i) for shard in self.store.ahead() for i, key in enumerate(self.store.keys(shard))}

    def vectors(self, keys: Sequence[str], gallery: str) -> NDArray[np.float32]:
        """(n, D) the vectors of some rows.

        Raises:
            QueryError: there is no such row, or it has no such vector.
            ShardError: a shard is damaged.
        """
        try:
            return self._vectors(keys, gallery)
        except _MovedError:
            self.__dict__.pop("_positions", None)
            return self._vectors(keys, gallery)

    def _vectors(self, keys: Sequence[str], gallery: str) -> NDArray[np.float32]:
        positions = self._positions
        lost = next((key for key in keys if key not in positions), None)
        if lost is not None:
            raise QueryError(f"{self.store.path}: has no row {lost!r} to rescore by; embed the same rows into it")
        by_shard = defaultdict[int, list[int]](list)
        for n, key in enumerate(keys):
            by_shard[positions[key][0]].append(n)
        found = np.zeros((len(keys), self.store.info.dimension), np.float32)
        for shard, numbers in by_shard.items():
            rows = self._rows(shard, [(keys[n], positions[keys[n]][1]) for n in numbers])
            own = Gallery.of(rows, gallery)
            if not own.there.all():
                key = keys[numbers[int(np.argmin(own.there))]]
                raise QueryError(f"{self.store.path}: row {key!r} has no {gallery} vector to rescore by; embed it anew")
            found[numbers] = own.at(np.arange(len(rows)))
        return found

    def ranked(
        self, queries: NDArray[np.floating], found: Sequence[Sequence[Hit]], gallery: str, k: int
    ) -> list[list[Hit]]:
        """The best k hits of each query, nearest first by their whole vectors; errors as `vectors`.

        Args:
            queries: (q, D) unit vectors.
            found: what the first pass found for each, equal ones in their order.
            gallery: ``image``, ``text`` or ``fused``.
            k: most hits a query.
        """
        keys = list(dict.fromkeys(hit.key for hits in found for hit in hits))
        place = {key: n for n, key in enumerate(keys)}
        vectors = self.vectors(keys, gallery)
        scores = vectors @ unit_prefix(queries, vectors.shape[1]).T.astype(np.float32)
        ranked = []
        for query, hits in enumerate(found):
            own = scores[[place[hit.key] for hit in hits], query]
            best = np.argsort(-own, kind="stable")[:k]
            ranked.append([replace(hits[i], score=float(own[i])) for i in best])
        return ranked

    def _rows(self, shard: int, places: Sequence[tuple[str, int]]) -> Rows:
        """Rows of a shard at the places of some keys, of which the keys and vectors alone are known."""
        names = ("key", *VECTORS, *(PRESENT.of(modality) for modality in MODALITIES))
        if shard not in self.store.shard_numbers():
            raise self._moved()
        parts = self.store.read_from(shard, lambda opened: [opened.slice(names, i, i + 1) for _, i in places])
        columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
        if list(columns["key"]) != [key for key, _ in places]:
            raise self._moved()
        return Rows.of_columns({**Rows.empty(len(places), 0, 0).columns(), **columns}, [])

    def _moved(self) -> _MovedError:
        return _MovedError(f"{self.store.path}: its rows move while they are read; ask again when they are embedded")


def open_whole(path: str | Path | Store, like: Store) -> Store:
    """A store to rescore by.

    Args:
        path: embeddings of float16 or float32.
        like: the embeddings that are searched; the other ones are by the same model.

    Raises:
        StoreError: no such store, or shards are missing.
        QueryError: it keeps codes itself, or has fewer dimensions.
        FingerprintError: another model made it.
    """
    store = path if isinstance(path, Store) else Store.open(path, EMBEDDINGS)
    store.require_whole()
    if store.info.dtype in CODES:
        raise QueryError(
            f"{store.path}: keeps its vectors as {store.info.dtype}; rescore by embeddings of {' or '.join(FLOATS)}"
        )
    if store.info.dimension < like.info.dimension:
        raise QueryError(
            f"{store.path}: has {store.info.dimension} dimensions, {like.path} {like.info.dimension}; rescore by whole "
            "vectors"
        )
    for modality, searched in like.info.specs.items():
        if not of_one_model(searched, store.info.specs.of(modality)):
            raise FingerprintError(
                f"{store.path}: another model made these {modality} embeddings than those of {like.path}; embed the "
                "same rows with one model"
            )
    return store
