"""`huse embed`: a store or a manifest becomes a store of embeddings, shard by shard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.embed.model import Model, load
from huse.extract.job import ExtractConfig, ExtractSummary
from huse.extract.manifest import Columns
from huse.extract.run import extract_features
from huse.features.errors import ShardError
from huse.features.rows import Rows
from huse.features.store import EMBEDDINGS, FEATURES, STORE_FILE, Store, StoreInfo
from huse.train.forward import class_probabilities, features_of
from huse.train.model_folder import TrainedModel, check_store

FEATURES_FOLDER = "features"
"""Where stage 1 keeps its vectors, inside the embeddings' folder, when the source is a manifest."""


@dataclass
class EmbedSummary:
    """What a run did.

    Attributes:
        rows: rows of the source, all of them in the output now.
        embedded: rows that went through the towers in this run.
        seconds: wall time, stage 1 included.
        extract: what stage 1 did, when the source was a manifest.
    """

    rows: int
    embedded: int
    seconds: float
    extract: ExtractSummary | None = None

    @property
    def rows_per_s(self) -> float:
        """Embedded rows a second of wall time."""
        return self.embedded / self.seconds if self.seconds else 0.0


def embed_source(
    model: str | Path | Model,
    source: str | Path,
    out: str | Path,
    config: ExtractConfig = ExtractConfig(),
    columns: Columns = Columns(),
) -> EmbedSummary:
    """Embeds all rows of a store or a manifest and predicts their class: `huse embed`.

    A shard of the output whose rows are unchanged since an earlier run is kept.

    Args:
        model: a model folder, or the loaded model.
        source: a store of features, or a manifest or folder of pictures, whose features are then extracted into
            `out`/features first.
        out: folder of the embeddings.
        config: how stage 1 runs, if it does; its encoders are the model's own.
        columns: names of the manifest's columns.

    Raises:
        FingerprintError: the store was made by other encoders, or `out` by another model.
        ManifestError: `source` is neither a store nor a manifest.
    """
    start = time.perf_counter()
    loaded = model if isinstance(model, Model) else load(model, config.image_weights, config.precision)
    trained = loaded.trained
    extracted = None
    if (Path(source) / STORE_FILE).exists():
        features = Store.open(source, FEATURES)
        check_store(trained, features)
        target = _create(trained, out, features.info.shard_size, features.info.dtype)
    else:
        target = _create(trained, out, config.shard_size, config.dtype)
        features, extracted = _extract(loaded, Path(source), target, config, columns)
    rows, embedded = _embed_shards(trained, features, target)
    return EmbedSummary(rows, embedded, time.perf_counter() - start, extracted)


def _create(trained: TrainedModel, out: str | Path, shard_size: int, dtype: str) -> Store:
    specs = (trained.embedding_spec("image"), trained.embedding_spec("text"))
    return Store.create(out, StoreInfo(EMBEDDINGS, *specs, shard_size, dtype))


def _extract(
    model: Model, manifest: Path, target: Store, config: ExtractConfig, columns: Columns
) -> tuple[Store, ExtractSummary]:
    own = replace(
        config,
        image_encoder=model.image_encoder_name or config.image_encoder,
        text_encoder=model.text_encoder_name or config.text_encoder,
    )
    folder = target.path / FEATURES_FOLDER
    summary = extract_features(manifest, folder, own, columns, text_state=model.trained.text_state)
    features = Store.open(folder, FEATURES)
    check_store(model.trained, features)
    return features, summary


def _embed_shards(trained: TrainedModel, features: Store, target: Store) -> tuple[int, int]:
    total = embedded = 0
    indices = features.shard_indices()
    with tqdm(total=len(features), desc="embed", unit="row", disable=None) as bar:
        for index in indices:
            rows = features.read(index)
            if not _is_current(target, index, rows):
                target.write(index, embed_rows(trained, rows))
                embedded += len(rows)
            total += len(rows)
            bar.update(len(rows))
    for stale in set(target.shard_indices()) - set(indices):
        target.shard_path(stale).unlink()
    return total, embedded


def embed_rows(trained: TrainedModel, rows: Rows) -> Rows:
    """The same rows with embeddings in place of features, and with the predicted class and its probability."""
    outputs = trained.forward(features_of(rows, trained.network))
    fused = class_probabilities(outputs, rows.has_image, rows.has_text, trained.fusion_weight)["fused"]
    known = rows.has_image | rows.has_text
    prediction = np.array(trained.classes, dtype=object)[fused.argmax(axis=1)]
    return replace(
        rows,
        image=_masked(outputs.get("image_embedding"), rows.has_image),
        text=_masked(outputs.get("text_embedding"), rows.has_text),
        prediction=np.where(known, prediction, ""),
        probability=fused.max(axis=1),
    )


def _masked(vectors: NDArray[np.float32] | None, has: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.zeros((len(has), 0), np.float32) if vectors is None else vectors * has[:, None]


def _is_current(target: Store, index: int, rows: Rows) -> bool:
    """True when the output's shard was made of exactly these rows; the store's fingerprints tell the model."""
    if not target.shard_path(index).exists():
        return False
    try:
        there = target.read(index)
    except ShardError:
        return False
    same: Callable[[str], bool] = lambda name: np.array_equal(getattr(there, name), getattr(rows, name))  # noqa: E731
    names = ("key", "label", "split", "uri", "caption", "has_image", "has_text", "image_digest", "text_digest")
    return all(same(name) for name in names)
