"""A model and its embeddings in memory, ready to answer."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from threading import Event, Lock, Thread

import numpy as np
from numpy.typing import NDArray

from huse.embed.draw.projection import Points, lay_out
from huse.embed.draw.thumbnails import none_found
from huse.embed.model import Model
from huse.embed.search.engine import Engine
from huse.embed.search.gallery import GALLERIES, Hit, hit_of, shown_labels, those_with
from huse.embed.search.index import AUTO
from huse.embed.search.rescore import open_whole
from huse.embed.search.search import OTHER, default_gallery, require_model
from huse.embed.serve.shown import location
from huse.embed.serve.space_map import SpaceMap
from huse.extract.manifest.locations import image_location
from huse.features.errors import QueryError, StoreError
from huse.features.files.place import folder_above, is_url
from huse.features.info import EMBEDDINGS
from huse.features.rows import Rows
from huse.features.store import Store

LOOKED_FOR = 1_000
"""Image files that are looked for at the start."""

PREDICTIONS = 3
"""Most probable classes told of a query."""


@dataclass(frozen=True)
class Prediction:
    """A class that a query may belong to."""

    label: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What is told of a query: its nearest rows, and its most probable classes."""

    hits: list[Hit]
    classes: list[Prediction]


class Searcher:
    """Answers queries over one store of embeddings, which it keeps in memory.

    Beyond the rows themselves it keeps what each gallery is compared by, from its first query on: all its vectors in
    float32, or an index; where the store keeps codes, nothing more than these. Indexes are opened, and built if need
    be, before the first query.

    Args:
        model: the loaded model.
        embeddings: a store that `huse embed` made with it.
        folder: where relative images start from; by default the folder that the embeddings lie in.
        index: ``exact``, ``hnsw`` or ``ivfpq``; ``auto`` is exact up to a million rows. A class filter is always
            exact.
        rescore: embeddings of the same rows of float16 or float32, which stay on disk: rows found among `embeddings`,
            which may be small, are ranked by these.
        draw: lays rows out for the map, see `lay_out`.

    Attributes:
        map: the space in two dimensions.
        problems: why some kinds of queries cannot be answered; known when it is ready.

    Raises:
        FingerprintError: the embeddings are another model's.
        StoreError: no such store, an empty one, shards are missing, or they are written meanwhile.
        ShardError: a shard is damaged.
        QueryError: no such index.
        ExtraError: an index is needed, and FAISS is not installed.
    """

    def __init__(
        self,
        model: Model,
        embeddings: str | Path,
        folder: Path | None = None,
        index: str = AUTO,
        rescore: str | Path | None = None,
        *,
        draw: Callable[[Rows], Points] = lay_out,
    ) -> None:
        store = Store.open(embeddings, EMBEDDINGS)
        require_model(model.trained, store, "fused")
        store.require_whole()
        self.model = model
        self.folder = folder or folder_above(store.path)
        digest, self.shards = _loaded(store)
        self.map = SpaceMap(self.shards, draw)
        self.problems: list[str] = []
        self._positions = {
            str(key): (shard, i) for shard, rows in enumerate(self.shards) for i, key in enumerate(rows.key)
        }
        whole = None if rescore is None else open_whole(rescore, store)
        self._engine = Engine(store, index, self.shards, whole, digest)
        self._engine.prepare()
        self._once = Lock()
        self._preparing: Thread | None = None
        self._ready = Event()

    def __len__(self) -> int:
        return len(self._positions)

    def prepare(self) -> None:
        """Begins to build, in the background, what first queries would wait for: the encoders, and then the map."""
        with self._once:
            if self._preparing is None:
                self._preparing = Thread(target=self._prepare, name="huse-prepare", daemon=True)
                self._preparing.start()

    @property
    def ready(self) -> bool:
        """Whether the encoders are built; before, the first queries wait for them."""
        return self._ready.is_set()

    def wait_until_ready(self) -> None:
        """Returns when the encoders are built, or cannot be."""
        self.prepare()
        self._ready.wait()

    def _prepare(self) -> None:
        try:
            self.problems = [str(error) for error in self.model.warm()]
        except Exception as error:  # noqa: BLE001 - an encoder from elsewhere may raise anything; rows are found without
            self.problems = [f"{type(error).__name__}: {error}"]
        finally:
            self._ready.set()
        self.map.start()

    @cached_property
    def class_counts(self) -> list[tuple[str, int]]:
        """The label paths of the rows, and how many rows each has."""
        counts = Counter(label for rows in self.shards for label in shown_labels(rows))
        return sorted((label, n) for label, n in counts.items() if label)

    @cached_property
    def galleries(self) -> list[str]:
        """What queries can be compared with: kinds of vectors that a row has."""
        return [name for name in GALLERIES if any(those_with(rows.present, name).any() for rows in self.shards)]

    @cached_property
    def lost_images(self) -> str:
        """What to say when no image file of the rows is there; empty when one is, or none is looked for."""
        uris = (uri for rows in self.shards for uri in rows.uri[rows.image.present] if uri and not is_url(uri))
        some = list(islice(uris, LOOKED_FOR))
        if not some or any(location(uri, self.folder) for uri in some):
            return ""
        return none_found(len(some), image_location(some[0], self.folder))

    @cached_property
    def identity(self) -> str:
        """What browsers keep tags under: of the model and of where the embeddings lie, so rows may come and go."""
        place = str(self._engine.store.path)
        named = f"{self.model.trained.fingerprint} {place if is_url(place) else os.path.realpath(place)}"
        return hashlib.sha256(os.fsencode(named)).hexdigest()[:32]

    def rows_of(self, keys: Sequence[str]) -> list[Hit]:
        """The rows of some keys, as hits of themselves; without those that there are not."""
        found = (self._positions[key] for key in keys if key in self._positions)
        return [hit_of(self.shards[shard], i, 1.0) for shard, i in found]

    def has_image(self, key: str) -> bool:
        """Whether there is such a row and it has the vector of an image."""
        if key not in self._positions:
            return False
        shard, i = self._positions[key]
        return bool(self.shards[shard].image.present[i])

    def by_text(self, text: str, k: int, gallery: str, classes: list[str]) -> Answer:
        """The rows nearest to words."""
        vector, probabilities = self.model.embed_and_classify_text(text)
        return self._answer(vector, probabilities, self._against("text", gallery), k, classes)

    def by_image(self, data: bytes, k: int, gallery: str, classes: list[str]) -> Answer:
        """The rows nearest to an image, given by its file's bytes."""
        vector, probabilities = self.model.embed_and_classify_image(data)
        return self._answer(vector, probabilities, self._against("image", gallery), k, classes)

    def by_key(self, key: str, modality: str, k: int, gallery: str, classes: list[str]) -> Answer:
        """The rows nearest to a row's own image or text.

        Raises:
            KeyError: no such row.
            QueryError: the row lacks that modality.
        """
        shard, i = self._positions[key]
        rows = self.shards[shard].take([i])
        if not those_with(rows.present, modality)[0]:
            raise QueryError(f"row {key!r} has no {modality}; search from its {OTHER.of(modality)}")
        own = self._engine.own_vector(rows, modality)
        hits = self._nearest(own, self._against(modality, gallery), k, classes)
        probability = float(rows.probability[0]) if rows.probability is not None else 0.0
        predicted = str(rows.prediction[0]) if rows.prediction is not None else ""
        predictions = [Prediction(predicted, probability)] if predicted else []
        return Answer(hits, predictions)

    def image(self, key: str) -> str | None:
        """Where the image of a row is, a path or a URL; None when there is no such row, or no image to be shown."""
        if not self.has_image(key):
            return None
        shard, i = self._positions[key]
        return location(str(self.shards[shard].uri[i]), self.folder)

    def _answer(
        self,
        vector: NDArray[np.float32],
        probabilities: NDArray[np.float32],
        gallery: str,
        k: int,
        classes: list[str],
    ) -> Answer:
        best = np.argsort(-probabilities, kind="stable")[:PREDICTIONS]
        predictions = [Prediction(self.model.classes[i], float(probabilities[i])) for i in best]
        return Answer(self._nearest(vector[None], gallery, k, classes), predictions)

    def _against(self, modality: str, gallery: str) -> str:
        return default_gallery(self._engine.store, modality) if gallery == "other" else gallery

    def _nearest(self, vector: NDArray[np.floating], gallery: str, k: int, classes: list[str]) -> list[Hit]:
        return self._engine.nearest(vector, gallery, k, classes)[0]


def _loaded(store: Store) -> tuple[str, list[Rows]]:
    """All rows, as they are stored, and the digest of the store that they are of."""
    digest = store.content_digest()
    shards = [store.read_stored(number) for number in store.ahead()]
    if store.content_digest() != digest:
        raise StoreError(f"{store.path}: was written while it was read; start again when that is done")
    return digest, shards
