"""What is trained on: the labeled rows of a store, split, with their classes and semantic graph."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import FitError
from huse.features.shard import read_attributes
from huse.features.store import ClassVectors, Store
from huse.train.batches import TrainingData, TrainingRows, hold_out, with_texts
from huse.train.catalog import Catalog
from huse.train.config import FitConfig
from huse.train.memory import streaming_window
from huse.train.objectives import ACROSS_MODALITIES, ONTO_CLASS_NAMES
from huse.train.semantic_graph import graph_from_taxonomy, graph_from_vectors
from huse.train.stream import StreamedRows

MOST_VALIDATION_ROWS = 20_000
"""Exact ranking takes time by the square of the rows; this many take minutes, and have a standard error of 0.4 %."""

Numbers = NDArray[np.integer]


@dataclass(frozen=True)
class Task:
    """The rows and classes of a fit.

    Attributes:
        classes: K label paths, sorted.
        graph: (K, K) semantic distances.
        class_vectors: (K, Dc) unit vectors of the class names; Dc is 0 when the store has none.
        data: all rows, see `LabeledData`.
        train: numbers of the rows and class names to train on while looking for the best epoch.
        train_rows: how many of them are rows of the store.
        val: rows that choose the epoch and the fusion weight; may be none.
        everything: numbers of all that can be trained on, the held out rows included; None when no rows are held out.
        digest: SHA-256 of all that was read.
    """

    classes: list[str]
    graph: NDArray[np.float32]
    class_vectors: NDArray[np.float32]
    data: TrainingData
    train: Numbers
    train_rows: int
    val: TrainingRows
    everything: Numbers | None
    digest: str

    @property
    def val_labels(self) -> NDArray[np.object_]:
        """Label path of each validation row."""
        return np.array(self.classes, dtype=object)[self.val.labels]


@dataclass(frozen=True)
class LabeledData:
    """The rows and classes of a store, read once and split as often as needed.

    Attributes:
        where: name of the source, for messages.
        classes: K label paths, sorted.
        graph: (K, K) semantic distances.
        class_vectors: (K, Dc) unit vectors of the class names; Dc is 0 when there are none.
        data: every row but the test rows, and after them the class names as texts.
        given: numbers of the rows to train on, those that may be held out included.
        given_val: numbers of the rows of a validation split; when there are none, rows are held out.
        digest: SHA-256 of all that was read.
    """

    where: str
    classes: list[str]
    graph: NDArray[np.float32]
    class_vectors: NDArray[np.float32]
    data: TrainingData
    given: Numbers
    given_val: Numbers
    digest: str = ""

    def split(self, config: FitConfig) -> Task:
        """Parts the rows into those to train on and those to validate on.

        Without a validation split, `config.val_fraction` of each class's training rows is held out, and no more than
        about `MOST_VALIDATION_ROWS`; of a larger validation split as many are drawn.

        Raises:
            FitError: fewer than two classes, or class-name vectors that do not fit the objective.
        """
        labels = self.data.labels[self.given]
        _require_classes(labels, self.where)
        if config.objective in ONTO_CLASS_NAMES and self.class_vectors.shape[1] != config.dimension:
            raise FitError(
                f"objective {config.objective} maps onto class-name vectors: {self.where} has them in "
                f"{self.class_vectors.shape[1]} dimensions, --dimension is {config.dimension}"
            )
        last = np.arange(len(self.given) + len(self.given_val), len(self.data))
        texts = last if config.class_names else last[:0]
        train, val, everything = self.given, self.given_val, None
        if not len(val):
            held = hold_out(labels, config.val_fraction, config.seed, MOST_VALIDATION_ROWS)
            train, val = self.given[~held], self.given[held]
            everything = np.concatenate([train, val, texts]) if len(val) else None
        elif len(val) > MOST_VALIDATION_ROWS:
            val = np.sort(np.random.default_rng(config.seed).choice(val, MOST_VALIDATION_ROWS, replace=False))
        return Task(
            classes=self.classes,
            graph=self.graph,
            class_vectors=self.class_vectors,
            data=self.data,
            train=np.concatenate([train, texts]),
            train_rows=len(train),
            val=self.data.take(val),
            everything=everything,
            digest=self.digest,
        )


def prepare(store: Store, config: FitConfig, semantic_graph: str = "names") -> Task:
    """Reads and splits the labeled rows of a store; see `read_labeled` and `LabeledData.split`."""
    return read_labeled(store, config, semantic_graph).split(config)


def read_labeled(store: Store, config: FitConfig, semantic_graph: str = "names") -> LabeledData:
    """Reads the labeled rows of a store, or where they are when they are to be streamed.

    Rows of split ``train`` and rows without a split are trained on, rows of split ``val`` validate.

    Args:
        store: features with labels.
        config: memory and objective.
        semantic_graph: see `load_graph`.

    Raises:
        FitError: fewer than two classes, no such graph, or a memory budget that is too small.
        StoreError: the store has no shard yet, or some are missing.
        ShardError: a shard is damaged.
    """
    if config.objective in ACROSS_MODALITIES and not (store.info.image and store.info.text):
        raise FitError(f"objective {config.objective} needs pictures and texts, {store.path} has one of them")
    store.require_whole()
    catalog = Catalog.of(store)
    catalog = catalog.take(~catalog.of_split("test"))
    _require_classes(catalog.label[catalog.of_split("train", "")], str(store.path))
    classes = catalog.labels
    vectors = _class_vectors(store, classes)
    graph = load_graph(semantic_graph, store, classes, vectors)
    return LabeledData(
        where=str(store.path),
        classes=classes,
        graph=graph,
        class_vectors=_unit(vectors) if vectors is not None else np.zeros((len(classes), 0), np.float32),
        data=_open(store, catalog, _class_texts(store, classes), config),
        given=np.flatnonzero(catalog.of_split("train", "")),
        given_val=np.flatnonzero(catalog.of_split("val")),
        digest=_digest(store, graph, vectors),
    )


def load_graph(
    semantic_graph: str, store: Store, classes: list[str], vectors: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """The semantic graph (K, K) of the classes, in their order.

    Args:
        semantic_graph: ``names`` (class names through the text encoder, made by stage 1), ``taxonomy`` (label paths),
            or a .npy file with a K x K matrix in the order of the sorted labels.
        store: named in messages.
        classes: sorted label paths.
        vectors: (K, Dc) vectors of the class names, None when the store does not have them all.

    Raises:
        FitError: the store has no vector for a class name, or the file does not hold such a matrix.
    """
    if semantic_graph == "taxonomy":
        return graph_from_taxonomy(classes)
    if semantic_graph == "names":
        if vectors is None:
            raise FitError(
                f"{store.path}: no vector for the class names; run huse extract again, or use --semantic-graph taxonomy"
            )
        return graph_from_vectors(vectors)
    try:
        graph = np.load(semantic_graph, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FitError(f"--semantic-graph {semantic_graph}: not names, taxonomy or a .npy file ({error})") from error
    if graph.shape != (len(classes), len(classes)) or not np.isfinite(graph).all():
        raise FitError(
            f"--semantic-graph {semantic_graph}: shape {graph.shape}; "
            f"it must hold {len(classes)} x {len(classes)} finite distances, in the order of the sorted labels"
        )
    return np.asarray(graph, dtype=np.float32)


def _require_classes(labels: Numbers, where: str) -> None:
    classes = len(np.unique(labels))
    if classes < 2:
        raise FitError(f"{where}: {len(labels)} labeled training rows of {classes} classes; 2 are needed")


def _class_vectors(store: Store, classes: list[str]) -> NDArray[np.float32] | None:
    """Vectors of the class names in the order of the classes; None when the store does not have them all."""
    return _in_order(store.read_classes(), classes)


def _class_texts(store: Store, classes: list[str]) -> NDArray[np.float32]:
    """The class names as texts to train on; none where they are not of the text encoder."""
    vectors = _in_order(store.read_class_texts(), classes)
    return (
        np.zeros((0, store.info.text.dimension if store.info.text else 0), np.float32) if vectors is None else vectors
    )


def _in_order(stored: ClassVectors | None, classes: list[str]) -> NDArray[np.float32] | None:
    number = {label: i for i, label in enumerate(stored.labels)} if stored else {}
    if stored is None or not set(classes) <= set(number):
        return None
    return stored.vectors[[number[label] for label in classes]]


def _open(store: Store, catalog: Catalog, texts: NDArray[np.float32], config: FitConfig) -> TrainingData:
    """The rows of a catalog and, after them, one text a class: in memory, or where to read them."""
    image_dim, text_dim = (spec.dimension if spec else 0 for spec in (store.info.image, store.info.text))
    dtype = np.dtype(store.info.dtype)
    window = streaming_window(config, len(catalog), (image_dim + text_dim) * dtype.itemsize)
    n = 0 if window else len(catalog)
    here, numbers = TrainingRows.empty(n, image_dim, text_dim, dtype), np.arange(len(texts), dtype=np.int32)
    if window:
        extra = with_texts(here, texts, numbers)
        masks = {
            name: np.concatenate([getattr(catalog, name), getattr(extra, name)]) for name in ("has_image", "has_text")
        }
        return StreamedRows(store, catalog, extra, np.concatenate([catalog.label, numbers]), **masks, window=window)
    for index in np.unique(catalog.shard):
        rows, mine = store.read(int(index)), catalog.shard == index
        here.image[mine], here.text[mine] = rows.image[catalog.place[mine]], rows.text[catalog.place[mine]]
    here.has_image[:], here.has_text[:], here.labels[:] = catalog.has_image, catalog.has_text, catalog.label
    return with_texts(here, texts, numbers)


def _digest(store: Store, graph: NDArray[np.float32], vectors: NDArray[np.float32] | None) -> str:
    digest = hashlib.sha256(graph.tobytes())
    for index in store.shard_indices():
        digest.update(str(read_attributes(store.shard_path(index))["content_digest"]).encode())
    if vectors is not None:
        digest.update(vectors.tobytes())
    return digest.hexdigest()


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
