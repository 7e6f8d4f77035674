"""What is trained on: the rows of a store, split, with their classes and semantic graph."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from huse.features.companions import CLASS_FILES, ClassVectors
from huse.features.counted import counted
from huse.features.errors import FitError
from huse.features.modality import MODALITIES
from huse.features.shards.shard import read_attributes
from huse.features.store import Store
from huse.train.classes.semantic_graph import load_graph
from huse.train.config import FitConfig
from huse.train.data.batches import NO_LABEL, TrainingData, TrainingRows, with_texts
from huse.train.data.catalog import Catalog
from huse.train.data.hold_out import best_known, held_out
from huse.train.data.memory import streaming_window
from huse.train.data.pairs import require_pairs
from huse.train.data.stream import StreamedRows
from huse.train.objectives.registry import OBJECTIVES

MOST_VALIDATION_ROWS = 20_000
"""Exact ranking takes time by the square of the rows; this many take minutes, and have a standard error of 0.4 %."""

Numbers = NDArray[np.integer]


@dataclass(frozen=True)
class Task:
    """The rows and classes of a fit.

    Attributes:
        classes: K label paths, sorted; none where pairs alone are trained on.
        graph: (K, K) semantic distances.
        class_vectors: (K, Dc) unit vectors of the class names; Dc is 0 when the store has none.
        data: all rows, see `FitData`.
        train: numbers of the rows and class names to train on while looking for the best epoch.
        train_rows: how many of them are rows of the store.
        unlabeled_rows: how many of these have no label.
        val: rows that choose the epoch and the fusion weight; may be none.
        everything: numbers of all that can be trained on, the held out rows included; None when no rows are held out.
        digest: SHA-256 of all that was read.
        graph_source: what the graph comes from, in words.
    """

    classes: list[str]
    graph: NDArray[np.float32]
    class_vectors: NDArray[np.float32]
    data: TrainingData
    train: Numbers
    train_rows: int
    unlabeled_rows: int
    val: TrainingRows
    everything: Numbers | None
    digest: str
    graph_source: str

    @property
    def val_labels(self) -> NDArray[np.object_]:
        """Label path of each validation row; empty for none."""
        return np.array([*self.classes, ""], dtype=object)[self.val.labels]  # `NO_LABEL` is the last


@dataclass(frozen=True)
class FitData:
    """The rows and classes of a store, read once and split as often as needed.

    Attributes:
        where: name of the source, for messages.
        classes: K label paths, sorted.
        graph: (K, K) semantic distances.
        class_vectors: (K, Dc) unit vectors of the class names; Dc is 0 when there are none.
        data: every row but the test rows, and after them the class names as texts.
        given: numbers of the rows to train on, those that may be held out included.
        given_val: numbers of the rows of a validation split; when there are none, rows are held out.
        names: numbers of the class names that are trained on as texts.
        digest: SHA-256 of all that was read.
        catalog: where the rows of the store lie, and which share content; None where they are of no store.
        graph_source: what the graph comes from, in words.
    """

    where: str
    classes: list[str]
    graph: NDArray[np.float32]
    class_vectors: NDArray[np.float32]
    data: TrainingData
    given: Numbers
    given_val: Numbers
    names: Numbers
    digest: str = ""
    catalog: Catalog | None = None
    graph_source: str = ""

    @property
    def group(self) -> NDArray[np.int32] | None:
        """(n,) group of equal content of each row of the store, see `content_groups`; None where nothing is known."""
        return None if self.catalog is None else self.catalog.group

    def split(self, config: FitConfig) -> Task:
        """Parts the rows into those to train on and those to validate on.

        Without a validation split, `config.val_fraction` of each class's training rows is held out, and no more than
        about `MOST_VALIDATION_ROWS`; of a larger validation split as many are drawn. Rows of a store that share
        an image or a text are held out together. Rows without a label validate where no other does.

        Raises:
            FitError: fewer than two classes and no pairs, too few pairs for an objective that is made of them, or
                class-name vectors that do not fit the objective.
        """
        given, given_val = (self._taken(rows, config) for rows in (self.given, self.given_val))
        labels = self.data.labels[given]
        if self.classes or not config.on_pairs:
            _require_classes(labels, self.where, config)
        onto_class_names = OBJECTIVES[config.objective].onto_class_names
        if onto_class_names and self.class_vectors.shape[1] != config.dimension:
            raise FitError(
                f"objective {config.objective} maps onto class-name vectors: {self.where} has them in "
                f"{self.class_vectors.shape[1]} dimensions, dimension={config.dimension} (--dimension)"
            )
        if OBJECTIVES[config.objective].across_modalities:
            require_pairs(given, self.data, self.catalog, self.where, config.objective)
        texts = self.names if config.class_names else self.names[:0]
        train, val, everything = given, self._best_known(given_val), None
        if not len(val):
            groups = given if self.group is None else self.group[given]
            validates, held = held_out(labels, config.val_fraction, config.seed, MOST_VALIDATION_ROWS, groups)
            train, val = given[~held], given[validates]
            everything = np.concatenate([train, given[held], texts]) if len(val) else None
        elif len(val) > MOST_VALIDATION_ROWS:
            val = np.sort(np.random.default_rng(config.seed).choice(val, MOST_VALIDATION_ROWS, replace=False))
        return Task(
            classes=self.classes,
            graph=self.graph,
            class_vectors=self.class_vectors,
            data=self.data,
            train=np.concatenate([train, texts]),
            train_rows=len(train),
            unlabeled_rows=int(np.count_nonzero(self.data.labels[train] == NO_LABEL)),
            val=self.data.take(val),
            everything=everything,
            digest=self.digest,
            graph_source=self.graph_source,
        )

    def _taken(self, rows: Numbers, config: FitConfig) -> Numbers:
        """Those of some rows that are trained on."""
        return rows if config.on_pairs else rows[self.data.labels[rows] != NO_LABEL]

    def _best_known(self, rows: Numbers) -> Numbers:
        """Those of some rows that tell epochs apart, all of them with a label or all without."""
        labeled = self.data.labels[rows] != NO_LABEL
        return rows[best_known(labeled, ~labeled)]


def prepare(store: Store, config: FitConfig, semantic_graph: str = "auto") -> Task:
    """Reads and splits the rows of a store; see `read_fit_data` and `FitData.split`."""
    return read_fit_data(store, config, semantic_graph).split(config)


def read_fit_data(store: Store, config: FitConfig, semantic_graph: str = "auto") -> FitData:
    """Reads the rows of a store, or where they are when they are to be streamed.

    Rows of split ``train`` and rows without a split are trained on, rows of split ``val`` validate. Where labels are of
    fewer than two classes, pairs alone are trained on.

    Args:
        store: features.
        config: memory and objective.
        semantic_graph: see `load_graph`.

    Raises:
        FitError: fewer than two classes and no pairs without a label, no such graph, or a memory budget too small.
        StoreError: the store has no shard yet, or some are missing.
        ShardError: a shard is damaged.
    """
    if OBJECTIVES[config.objective].across_modalities and not (store.info.image and store.info.text):
        raise FitError(f"objective {config.objective} needs images and texts, {store.path} has one of them")
    store.require_whole()
    catalog = _trainable(Catalog.of(store, config.on_pairs), str(store.path), config)
    train, val = catalog.of_split("train", ""), catalog.of_split("val")
    _warn_of_leaks(catalog.group[val], catalog.group[train], str(store.path))
    classes = catalog.labels
    vectors, texts = _in_order(store.read_classes(), classes), _in_order(read_class_texts(store), classes)
    graph, source = load_graph(semantic_graph, str(store.path), classes, vectors)
    data = _open(store, catalog, texts, config)
    return FitData(
        where=str(store.path),
        classes=classes,
        graph=graph,
        class_vectors=normalize(vectors)
        if vectors is not None and classes
        else np.zeros((len(classes), 0), np.float32),
        data=data,
        given=np.flatnonzero(train).astype(np.int32),
        given_val=np.flatnonzero(val).astype(np.int32),
        names=np.arange(len(catalog), len(data), dtype=np.int32),
        digest=_digest(store, graph, vectors, texts),
        catalog=catalog,
        graph_source=source,
    )


def _trainable(catalog: Catalog, where: str, config: FitConfig) -> Catalog:
    """The catalog, or its pairs alone when its labels are of fewer than two classes and some rows have none."""
    labels = catalog.label[catalog.of_split("train", "")]
    labeled, pairs = labels[labels != NO_LABEL], catalog.pairs()
    if len(np.unique(labeled)) >= 2 or len(labeled) == len(labels) or pairs.of_split("train", "").sum() < 2:
        _require_classes(labels, where, config)
        return catalog
    aside = int(np.count_nonzero(catalog.label != NO_LABEL))
    if aside:
        warnings.warn(
            f"{where}: labels of {counted(len(np.unique(labeled)), 'class', 'classes')} among the training rows, too "
            f"few to learn from; image-text pairs alone are trained on, {counted(aside, 'label')} left aside",
            stacklevel=4,
        )
    return pairs


def _require_classes(labels: Numbers, where: str, config: FitConfig) -> None:
    labeled = labels[labels != NO_LABEL]
    classes = len(np.unique(labeled))
    if classes < 2:
        way = ", which objective='huse' (--objective) takes with pair_weight=0.3 (--pair-weight)"
        hint = "" if config.on_pairs else way
        raise FitError(
            f"{where}: {counted(len(labeled), 'labeled training row')} of {counted(classes, 'class', 'classes')}; "
            f"2 classes are needed, or image-text pairs without a label, of split train or none{hint}"
        )


def _warn_of_leaks(val: Numbers, train: Numbers, where: str) -> None:
    shared = int(np.isin(val, train).sum())
    if shared:
        warnings.warn(
            f"{where}: {shared} of {len(val)} rows of split val share their image or text with training rows, "
            "so validation flatters; huse store leaks lists them",
            stacklevel=4,
        )


def _in_order(stored: ClassVectors | None, classes: list[str]) -> NDArray[np.float32] | None:
    number = {label: i for i, label in enumerate(stored.labels)} if stored else {}
    if stored is None or not set(classes) <= set(number):
        return None
    return stored.vectors[[number[label] for label in classes]]


def _open(store: Store, catalog: Catalog, texts: NDArray[np.float32] | None, config: FitConfig) -> TrainingData:
    """The rows of a catalog and, after them, a text for each class whose name says anything: in memory, or where."""
    widths, dtype = store.info.widths, np.dtype(store.info.dtype)
    resident = int(catalog.of_split("val").sum()) or int(config.val_fraction * len(catalog))
    row_bytes = (widths.image + widths.text) * dtype.itemsize
    window = streaming_window(config, len(catalog), row_bytes, min(resident, MOST_VALIDATION_ROWS))
    texts = np.zeros((0, widths.text), np.float32) if texts is None else texts
    numbers = np.flatnonzero(texts.any(axis=1)).astype(np.int32)
    texts = texts[numbers]
    here = TrainingRows.empty(0 if window else len(catalog), widths, dtype)
    if window:
        return StreamedRows.of(store, catalog, with_texts(here, texts, numbers), window)
    order = np.argsort(catalog.shard, kind="stable")
    shards, starts = np.unique(catalog.shard[order], return_index=True)
    for shard, mine in zip(shards, np.split(order, starts[1:]), strict=True):
        columns = store.columns(int(shard), MODALITIES)
        for modality, side in here.modalities.items():
            side.vectors[mine] = columns[modality][catalog.position[mine]]
            side.present[mine] = catalog.present.of(modality)[mine]
    here.labels[:] = catalog.label
    for modality, content in here.content.items():
        content[:] = catalog.content.of(modality)
    return with_texts(here, texts, numbers)


def _digest(store: Store, graph: NDArray[np.float32], *vectors: NDArray[np.float32] | None) -> str:
    digest = hashlib.sha256(graph.tobytes())
    for number in store.shard_numbers():
        digest.update(str(read_attributes(store.shard_path(number))["content_digest"]).encode())
    for array in vectors:
        digest.update(b"" if array is None else array.tobytes())
    return digest.hexdigest()


def read_class_texts(store: Store) -> ClassVectors | None:
    """The class names as vectors of the store's own text encoder, to train on; None when there are none."""
    for name in CLASS_FILES:
        stored = store.read_classes(name)
        if stored is not None and stored.encoder == str(store.info.text):
            return stored
    return None
