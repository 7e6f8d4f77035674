"""A model and its embeddings in memory, ready to answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.embed.gallery import Gallery, Hit, nearest, shown_labels
from huse.embed.index import AUTO, EXACT, Index, choose_kind, open_index
from huse.embed.map_page import map_data
from huse.embed.model import Model
from huse.embed.projection import lay_out
from huse.embed.search import OTHER, require_model
from huse.embed.thumbnails import location
from huse.features.errors import QueryError
from huse.features.rows import Rows, concatenate
from huse.features.store import EMBEDDINGS, Store
from huse.train.forward import MODALITIES

MOST_ON_MAP = 2_000
"""Rows that the map shows, drawn at random when there are more."""

GUESSES = 3
"""Most probable classes told of a query."""


@dataclass(frozen=True)
class Guess:
    """A class that a query may belong to."""

    label: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What is told of a query: its nearest rows, and its most probable classes."""

    hits: list[Hit]
    classes: list[Guess]


def against(modality: str, gallery: str) -> str:
    """The gallery that a query of a modality is compared with; ``other`` is the other kind than its own."""
    return OTHER[modality] if gallery == "other" else gallery


class Searcher:
    """Answers queries over one store of embeddings, which it keeps in memory.

    Beyond the rows themselves it keeps what each gallery is compared by, from its first query on: all its vectors in
    float32, or an index. Indexes are opened, and built if need be, before the first query.

    Args:
        model: the loaded model.
        embeddings: a store that `huse embed` made with it.
        folder: where relative pictures start from; by default the folder that the embeddings lie in.
        index: ``exact``, ``hnsw`` or ``ivfpq``; ``auto`` is exact up to a million rows. A class filter is always
            exact, and so are the ``fused`` vectors.

    Raises:
        FingerprintError: the embeddings are another model's.
        StoreError: no such store, an empty one, or shards are missing.
        ShardError: a shard is damaged.
        QueryError: no such index.
        ExtraError: an index is needed, and FAISS is not installed.
    """

    def __init__(self, model: Model, embeddings: str | Path, folder: Path | None = None, index: str = AUTO) -> None:
        store = Store.open(embeddings, EMBEDDINGS)
        for modality in MODALITIES:
            require_model(model, store, modality)
        store.require_whole()
        self.model = model
        self.folder = folder or store.path.parent
        self.shards = list(store)
        self._places = {
            str(key): (shard, i) for shard, rows in enumerate(self.shards) for i, key in enumerate(rows.key)
        }
        self._once = Lock()
        self._galleries: dict[str, list[Gallery]] = {}
        self._indices: dict[str, Index] = {}
        kind = choose_kind(store, index)
        if kind != EXACT:
            there = [m for m in MODALITIES if any(getattr(rows, f"has_{m}").any() for rows in self.shards)]
            self._indices = {gallery: open_index(store, gallery, kind) for gallery in there}

    def __len__(self) -> int:
        return len(self._places)

    @cached_property
    def class_counts(self) -> list[tuple[str, int]]:
        """The label paths of the rows, and how many rows each has."""
        counts = Counter(label for rows in self.shards for label in shown_labels(rows))
        return sorted((label, n) for label, n in counts.items() if label)

    def by_text(self, text: str, k: int, gallery: str, classes: list[str]) -> Answer:
        """The rows nearest to words."""
        vector, probabilities = self.model.embed_and_classify_text(text)
        return self._answer(vector, probabilities, against("text", gallery), k, classes)

    def by_picture(self, data: bytes, k: int, gallery: str, classes: list[str]) -> Answer:
        """The rows nearest to a picture, given by its file's bytes."""
        vector, probabilities = self.model.embed_and_classify_image(data)
        return self._answer(vector, probabilities, against("image", gallery), k, classes)

    def by_key(self, key: str, modality: str, k: int, gallery: str, classes: list[str]) -> Answer:
        """The rows nearest to a row's own picture or text.

        Raises:
            KeyError: no such row.
            QueryError: the row lacks that modality.
        """
        shard, i = self._places[key]
        rows = self.shards[shard].take([i])
        own = Gallery.of(rows, modality)
        if not own.there[0]:
            raise QueryError(f"row {key!r} has no {modality}; search from its {OTHER[modality]}")
        hits = self._nearest(own.vectors, against(modality, gallery), k, classes)
        probability = float(rows.probability[0]) if rows.probability is not None else 0.0
        guesses = [Guess(str(rows.prediction[0]), probability)] if rows.prediction is not None else []
        return Answer(hits, guesses)

    def picture(self, key: str) -> str | None:
        """Where the picture of a row is, a path or a URL; None when there is no such row or it has no picture."""
        if key not in self._places:
            return None
        shard, i = self._places[key]
        rows = self.shards[shard]
        return location(rows.uri[i], self.folder) if rows.uri[i] else None

    @property
    def map(self) -> dict[str, Any]:
        """Points of the space in two dimensions, see `map_data`; made at the first call."""
        with self._once:
            return self._map

    @cached_property
    def _map(self) -> dict[str, Any]:
        rows: Rows = concatenate(self.shards)
        if len(rows) > MOST_ON_MAP:
            rows = rows.take(np.sort(np.random.default_rng(0).choice(len(rows), MOST_ON_MAP, replace=False)))
        return map_data(rows, lay_out(rows))

    def _answer(
        self,
        vector: NDArray[np.float32],
        probabilities: NDArray[np.float32],
        gallery: str,
        k: int,
        classes: list[str],
    ) -> Answer:
        best = np.argsort(-probabilities, kind="stable")[:GUESSES]
        guesses = [Guess(self.model.classes[i], float(probabilities[i])) for i in best]
        return Answer(self._nearest(vector[None], gallery, k, classes), guesses)

    def _nearest(self, vector: NDArray[np.floating], gallery: str, k: int, classes: list[str]) -> list[Hit]:
        if gallery in self._indices and not classes:
            return self._indices[gallery].nearest(vector, k)[0]
        with self._once:
            if gallery not in self._galleries:
                self._galleries[gallery] = [Gallery.of(rows, gallery).in_float32() for rows in self.shards]
        return nearest(self._galleries[gallery], vector, k, classes)[0]
