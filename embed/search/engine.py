"""The one engine of `huse search`, Python and the server: the nearest rows of a store, exactly or by indexes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from huse.embed.prefix import unit_prefix
from huse.embed.search.gallery import GALLERIES, Gallery, Hit, nearest, require_count, require_gallery
from huse.embed.search.index import AUTO, EXACT, Index, NoVectorsError, choose_kind, open_index
from huse.embed.search.rescore import CANDIDATES, Rescorer
from huse.features.errors import QueryError
from huse.features.rows import Rows
from huse.features.store import Store


class Engine:
    """Finds the rows of a store of embeddings that are nearest to vectors; threads may share it.

    Args:
        store: embeddings, none missing.
        index: ``exact``, ``hnsw`` or ``ivfpq``; ``auto`` is exact up to a million rows. A class filter is always exact.
        shards: the rows of all shards, as they are stored, to answer from memory; without them shards are read for each
            search.
        rescore: embeddings by whose vectors the rows found are ranked, see `open_whole`; then ten times as many are
            looked for in `store`.
        digest: of the store when `shards` were read, see `open_index`.

    Raises:
        QueryError: no such index.
    """

    def __init__(
        self,
        store: Store,
        index: str = AUTO,
        shards: Sequence[Rows] | None = None,
        rescore: Store | None = None,
        digest: str = "",
    ) -> None:
        self.store = store
        self._rescorer = None if rescore is None else Rescorer(rescore)
        self.kind = choose_kind(store, index)
        self.shards = shards
        self._digest = digest
        self._once = Lock()
        self._galleries: dict[str, list[Gallery]] = {}
        self._indices: dict[str, Index | None] = {}

    def prepare(self) -> None:
        """Opens the index of every gallery, and makes those that are not there; nothing when search is exact.

        Raises:
            ExtraError: FAISS is not installed.
            QueryError: an index cannot be written.
        """
        if self.kind != EXACT:
            for gallery in GALLERIES:
                self._index(gallery)

    def nearest(
        self, vectors: NDArray[np.floating], gallery: str, k: int, classes: Sequence[str] = ()
    ) -> list[list[Hit]]:
        """For each of (q, D) unit vectors at most k rows, nearest first; of embeddings of fewer dimensions, by so many.

        Raises:
            QueryError: no such gallery, k below 1, or a vector is not finite; what is rescored by lacks a row; an index
                cannot be written.
            ExtraError: an index is needed, and FAISS is not installed.
        """
        require_gallery(gallery)
        require_count(k)
        if not np.isfinite(vectors).all():
            raise QueryError("the vector of a query is not finite; another text or image is needed")
        if self._rescorer is None:
            return self._found(vectors, gallery, k, classes)
        found = self._found(vectors, gallery, k * CANDIDATES, classes)
        return self._rescorer.ranked(vectors, found, gallery, k)

    def own_vector(self, rows: Rows, gallery: str) -> NDArray[np.float32]:
        """(1, D) the vector of one row of the store, the whole one where there is one to rescore by."""
        if self._rescorer is not None:
            return self._rescorer.vectors([str(rows.key[0])], gallery)
        return Gallery.of(rows, gallery).at(np.arange(1))

    def _found(self, vectors: NDArray[np.floating], gallery: str, k: int, classes: Sequence[str]) -> list[list[Hit]]:
        """At most k rows for each of some vectors by what the store has of them."""
        vectors = unit_prefix(vectors, self.store.info.dimension)
        if self.kind == EXACT or classes:
            return nearest(self._compared(gallery), vectors, k, classes)
        index = self._index(gallery)
        return [[] for _ in vectors] if index is None else index.nearest(vectors, k)

    def _compared(self, gallery: str) -> Iterable[Gallery]:
        """The vectors of a gallery, shard by shard; kept ready when the rows are in memory."""
        if self.shards is None:
            return (Gallery.of(rows, gallery) for rows in map(self.store.read_stored, self.store.ahead()))
        if gallery not in self._galleries:
            with self._once:
                if gallery not in self._galleries:
                    self._galleries[gallery] = [Gallery.of(rows, gallery).in_float32() for rows in self.shards]
        return self._galleries[gallery]

    def _index(self, gallery: str) -> Index | None:
        """The index of a gallery; None when no row has such a vector."""
        if gallery not in self._indices:
            with self._once:
                if gallery not in self._indices:
                    self._indices[gallery] = self._opened(gallery)
        return self._indices[gallery]

    def _opened(self, gallery: str) -> Index | None:
        try:
            return open_index(self.store, gallery, self.kind, shards=self.shards, digest=self._digest)
        except NoVectorsError:
            return None
