"""Exact nearest rows to a text or a picture, one shard in memory at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from huse.features.encoder_spec import require_same
from huse.features.errors import QueryError
from huse.features.rows import Rows
from huse.features.store import EMBEDDINGS, Store

if TYPE_CHECKING:
    from huse.embed.model import Model

OTHER = {"image": "text", "text": "image"}


@dataclass(frozen=True)
class Hit:
    """A row found.

    Attributes:
        key: of the row.
        score: cosine similarity to the query, -1 to 1.
        label: its label path, or the predicted one when it has none.
        caption: its text.
        uri: its picture.
    """

    key: str
    score: float
    label: str
    caption: str
    uri: str


def search_embeddings(
    model: Model | str | Path,
    embeddings: str | Path,
    *,
    text: str | None = None,
    image: str | Path | bytes | None = None,
    k: int = 10,
    gallery: str | None = None,
) -> list[Hit]:
    """The k rows nearest to a text or a picture: `huse search`.

    Args:
        model: a model folder, or the loaded model.
        embeddings: a store that `huse embed` made with this model.
        text: the query, or
        image: the query, a file or the bytes of one.
        k: most hits.
        gallery: compare with the rows' ``image`` or ``text`` vectors; by default with those of the other modality
            than the query's.

    Returns:
        Hits, nearest first.

    Raises:
        QueryError: not exactly one query, k below 1, or no row of the gallery's modality.
        FingerprintError: the embeddings are another model's.
    """
    if (text is None) == (image is None):
        raise QueryError("give either a text or a picture to search for")
    if k < 1:
        raise QueryError(f"k is {k}; it must be at least 1")
    from huse.embed.model import Model, load

    loaded = model if isinstance(model, Model) else load(model)
    modality = "text" if text is not None else "image"
    store = Store.open(embeddings, EMBEDDINGS)
    against = gallery or OTHER[modality]
    require_same(
        loaded.trained.embedding_spec(against), getattr(store.info, against), f"{against}: the model and {store.path}"
    )
    query = loaded.embed_texts([text])[0] if text is not None else loaded.embed_images([image or b""])[0]
    hits = nearest(store, against, query, k)
    if not hits:
        raise QueryError(f"{store.path}: no row has a vector of modality {against}; try --gallery {OTHER[against]}")
    return hits


def nearest(store: Store, modality: str, query: NDArray[np.floating], k: int) -> list[Hit]:
    """The k rows whose vectors of a modality have the highest cosine similarity to a unit vector (D,)."""
    best: list[Hit] = []
    for rows in store:
        present = rows.take(getattr(rows, f"has_{modality}"))
        scores = getattr(present, modality).astype(np.float32) @ query.astype(np.float32)
        top = np.argsort(-scores, kind="stable")[:k]
        found = [_hit(present, int(i), float(scores[i])) for i in top]
        best = sorted([*best, *found], key=lambda hit: -hit.score)[:k]
    return best


def _hit(rows: Rows, i: int, score: float) -> Hit:
    predicted = rows.prediction[i] if rows.prediction is not None else ""
    return Hit(rows.key[i], score, rows.label[i] or predicted, rows.caption[i], rows.uri[i])
