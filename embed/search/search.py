"""`huse search`: the rows nearest to texts and images, exactly or by an index."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from huse.embed.prefix import of_one_model
from huse.embed.search.engine import Engine
from huse.embed.search.gallery import Hit, as_typed, classes_of, require_count, require_gallery
from huse.embed.search.index import AUTO
from huse.embed.search.rescore import open_whole
from huse.features.errors import FingerprintError, QueryError
from huse.features.info import EMBEDDINGS
from huse.features.modality import Pair
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel

OTHER = Pair(image="text", text="image")
"""What a query is compared with unless told: texts find images, and images texts."""


class Embedder(Protocol):
    """What turns queries into vectors: `huse.embed.model.Model`, or whatever has the same three."""

    trained: TrainedModel

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (n, D) of n texts."""

    def embed_images(self, images: Sequence[str | Path | bytes]) -> NDArray[np.float32]:
        """Unit vectors (n, D) of n images."""


def search_embeddings(
    model: Embedder,
    embeddings: str | Path | Store,
    *,
    texts: Sequence[str] = (),
    images: Sequence[str | Path | bytes] = (),
    k: int = 10,
    gallery: str | None = None,
    classes: Sequence[str] = (),
    index: str = AUTO,
    rescore: str | Path | Store | None = None,
) -> list[list[Hit]]:
    """The k rows nearest to each of some texts and images: `huse search`.

    Args:
        model: what `huse.load` gives.
        embeddings: a store that `huse embed` made with this model.
        texts: queries in words.
        images: queries by image, files or the bytes of files.
        k: most hits a query.
        gallery: compare with the rows' ``image`` or ``text`` vectors, or with both ``fused``; by default with those of
            the other modality than the query's, where the embeddings have it.
        classes: label paths; only rows of these classes, and of those below them, are found.
        index: ``exact``, ``hnsw`` or ``ivfpq``; ``auto`` is exact up to a million rows. A class filter is always exact.
        rescore: embeddings of the same rows by the same model, of float16 or float32 and of all dimensions: ten times k
            rows are found in `embeddings`, which may be small, and ranked by these.

    Returns:
        Hits of each query, nearest first; those of the texts come before those of the images.

    Raises:
        QueryError: no query, a bad one, k below 1, no row of the gallery's modality, or `rescore` keeps codes or lacks
            a row.
        FingerprintError: the embeddings are another model's.
        StoreError: shards are missing.
        ExtraError: an index is needed, and FAISS is not installed.
    """
    if not texts and not images:
        raise QueryError("give a text or an image to search for")
    require_count(k)
    require_gallery(gallery or "fused")
    store = embeddings if isinstance(embeddings, Store) else Store.open(embeddings, EMBEDDINGS)
    store.require_whole()
    engine = Engine(store, index, rescore=None if rescore is None else open_whole(rescore, store))
    results: list[list[Hit]] = []
    for modality, queries in (("text", texts), ("image", images)):
        if queries:
            against = gallery or default_gallery(store, modality)
            require_model(model.trained, store, against)
            vectors = model.embed_texts(texts) if modality == "text" else model.embed_images(images)
            hits = engine.nearest(vectors, against, k, classes)
            if not any(hits):
                raise _nothing_found(store, against, classes)
            results += hits
    return results


def _nothing_found(store: Store, gallery: str, classes: Sequence[str]) -> QueryError:
    """Why no row was compared with a query."""
    found = set[str]().union(*(classes_of(store.read_stored(number)) for number in store.ahead()))
    if classes and found.isdisjoint(map(as_typed, classes)):
        near = [match for name in classes for match in get_close_matches(name.lower(), found, 1)]
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        return QueryError(f"{store.path}: no row is of class {', '.join(classes)} (--class), or of one below it{meant}")
    where = f" in {', '.join(classes)}" if classes else ""
    return QueryError(
        f"{store.path}: no row{where} has a vector of modality {gallery}; try another gallery (--gallery)"
    )


def default_gallery(store: Store, modality: str) -> str:
    """What a query of a modality is compared with unless told: the other one, where the store has it."""
    other = OTHER.of(modality)
    return other if store.info.specs.of(other) is not None else modality


def require_model(trained: TrainedModel, store: Store, gallery: str) -> None:
    """Refuses embeddings of another model.

    Raises:
        FingerprintError: the message names both ways out.
    """
    for modality, theirs in store.info.specs.items():
        if gallery in (modality, "fused") and not of_one_model(trained.embedding_spec(modality), theirs):
            raise FingerprintError(
                f"{store.path}: another model made these embeddings, not {trained.fingerprint[:12]}; embed again "
                f"with this model, or search with the one that made them"
            )
