"""`huse embed`: a store or a manifest becomes a store of embeddings, shard by shard."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.embed.files import SUFFIXES, require_writable, write_file
from huse.embed.model import Model, load
from huse.extract.job import ExtractConfig, ExtractSummary, ordered
from huse.extract.manifest import Columns
from huse.extract.run import extract_features
from huse.features.rows import Rows
from huse.features.store import EMBEDDINGS, FEATURES, STORE_FILE, Store, StoreInfo
from huse.features.write_behind import WriteBehind
from huse.train.forward import class_probabilities, features_of
from huse.train.model_folder import TrainedModel, check_store

FEATURES_FOLDER = "features"
"""Where stage 1 keeps its vectors, inside the embeddings' folder, when the source is a manifest."""

READ_AHEAD = 2
"""Shards read while one is embedded."""


@dataclass
class EmbedSummary:
    """What a run did.

    Attributes:
        store: folder of the embeddings, also when a file was asked for.
        rows: rows of the source, all of them in the output now.
        embedded: rows that went through the towers in this run.
        seconds: wall time, stage 1 included.
        extract: what stage 1 did, when the source was a manifest.
    """

    store: Path
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
    fuse: bool = False,
) -> EmbedSummary:
    """Embeds all rows of a store or a manifest and predicts their class: `huse embed`.

    Rows that are unchanged since an earlier run keep their embeddings; those that left the source are dropped.

    Args:
        model: a model folder, or the loaded model.
        source: a store of features, or a manifest or folder of pictures, whose features are then extracted into
            `out`/features first.
        out: folder of the embeddings, or a file .npy or .parquet. A file is written from a store that is kept beside
            it under the same name with the suffix .store, so that a later run embeds only what is new.
        config: how stage 1 runs, if it does; its encoders are the model's own.
        columns: names of the manifest's columns.
        fuse: one vector a row, in a file; see `fused_vectors`.

    Raises:
        FingerprintError: the store was made by other encoders, or `out` by another model.
        StoreError: shards of the store are missing.
        QueryError: `out` cannot hold what is asked for, see `require_writable`.
        ManifestError: `source` is neither a store nor a manifest.
    """
    start = time.perf_counter()
    loaded = model if isinstance(model, Model) else load(model, config.image_weights, config.precision)
    trained = loaded.trained
    extracted, file = None, Path(out)
    require_writable(file, fuse, len(trained.network.input))
    out = file.with_suffix(".store") if file.suffix in SUFFIXES else file
    if (Path(source) / STORE_FILE).exists():
        features = _open_features(trained, source)
        target = _create(trained, out, features.info.shard_size, features.info.dtype)
    else:
        target = _create(trained, out, config.shard_size, config.dtype)
        features, extracted = _extract(loaded, Path(source), target, config, columns)
    rows, embedded = _embed_shards(trained, features, target)
    if file.suffix in SUFFIXES:
        write_file(target, file, fuse)
    return EmbedSummary(target.path, rows, embedded, time.perf_counter() - start, extracted)


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
    return _open_features(model.trained, folder), summary


def _open_features(trained: TrainedModel, path: str | Path) -> Store:
    features = Store.open(path, FEATURES)
    features.require_whole()
    check_store(trained, features)
    return features


def _embed_shards(trained: TrainedModel, features: Store, target: Store) -> tuple[int, int]:
    total = embedded = 0
    indices = features.shard_indices()
    target.write_plan(len(indices))
    with (
        ThreadPoolExecutor(1, "huse-read") as reader,
        WriteBehind(target) as behind,
        tqdm(total=len(features), desc="embed", unit="row", disable=None) as bar,
    ):
        pairs = ordered(reader, lambda i: (features.read(i), target.read_or_none(i)), indices, READ_AHEAD)
        for index, (rows, previous) in zip(indices, pairs, strict=True):
            out, new = refreshed(trained, rows, previous)
            if previous is None or not out.holds_the_same_as(previous):
                behind.write(index, out)
            total, embedded = total + len(rows), embedded + new
            bar.update(len(rows))
    for stale in set(target.shard_indices()) - set(indices):
        target.shard_path(stale).unlink()
    return total, embedded


def refreshed(trained: TrainedModel, rows: Rows, previous: Rows | None) -> tuple[Rows, int]:
    """The embeddings of some rows, and how many of them went through the towers.

    Args:
        trained: the model.
        rows: features.
        previous: embeddings by the same model; those of rows whose key and content are the same are taken over.
    """
    if previous is None:
        return embed_rows(trained, rows), len(rows)
    at = _unchanged(rows, previous)
    new = np.flatnonzero(at < 0)
    fresh = embed_rows(trained, rows.take(new))
    columns: dict[str, Any] = {}
    for name in ("image", "text", "prediction", "probability"):
        old = getattr(previous, name)
        columns[name] = old[at] if len(old) else np.empty((len(rows), *old.shape[1:]), old.dtype)
        columns[name][new] = getattr(fresh, name)
    return replace(rows, **columns), len(new)


def _unchanged(rows: Rows, previous: Rows) -> NDArray[np.intp]:
    """(n,) the place of each row among the previous ones, or -1 where it is new or has changed."""
    place = {key: i for i, key in enumerate(previous.key)}
    at = np.array([place.get(key, -1) for key in rows.key], np.intp)
    known = np.flatnonzero(at >= 0)
    for name in ("has_image", "has_text", "image_digest", "text_digest"):
        same = getattr(rows, name)[known] == getattr(previous, name)[at[known]]
        at[known[~same.reshape(len(known), -1).all(axis=1)]] = -1
        known = np.flatnonzero(at >= 0)
    return at


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
