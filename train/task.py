"""What is trained on: the labeled rows of a store, split, with their classes and semantic graph."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import FitError
from huse.features.rows import Rows, concatenate
from huse.features.store import Store
from huse.train.batches import TrainingRows, hold_out
from huse.train.config import FitConfig
from huse.train.objectives import ACROSS_MODALITIES, ONTO_CLASS_NAMES
from huse.train.semantic_graph import graph_from_taxonomy, graph_from_vectors

ClassTexts = tuple[NDArray[np.float32], NDArray[np.int32]]


@dataclass(frozen=True)
class Task:
    """The rows and classes of a fit.

    Attributes:
        classes: K label paths, sorted.
        graph: (K, K) semantic distances.
        class_vectors: (K, Dc) unit vectors of the class names; Dc is 0 when the store has none.
        train: rows to train on while looking for the best epoch, class names as texts after them.
        train_rows: how many of them are stored rows.
        val: rows that choose the epoch and the fusion weight; may be none.
        val_rows: the same rows as stored.
        everything: train and held out rows together; None when the validation rows are a split of their own.
    """

    classes: list[str]
    graph: NDArray[np.float32]
    class_vectors: NDArray[np.float32]
    train: TrainingRows
    train_rows: int
    val: TrainingRows
    val_rows: Rows
    everything: TrainingRows | None


def prepare(store: Store, config: FitConfig, semantic_graph: str = "names") -> Task:
    """Reads a store's labeled rows and splits them.

    Rows of split ``train`` and rows without a split are trained on. Rows of split ``val`` validate; without any,
    `config.val_fraction` of each class's training rows is held out.

    Args:
        store: features with labels.
        config: validation share, seed, and whether class names are trained on.
        semantic_graph: see `load_graph`.

    Raises:
        FitError: fewer than two classes, or no such graph.
    """
    if config.objective in ACROSS_MODALITIES and not (store.info.image and store.info.text):
        raise FitError(f"objective {config.objective} needs pictures and texts, {store.path} has one of them")
    rows = _labeled(store)
    _require_classes(rows, str(store.path))
    classes = sorted(set(rows.label[rows.split != "test"]))
    return assemble(
        rows,
        config,
        str(store.path),
        load_graph(semantic_graph, store, classes),
        _class_vectors(store, classes, config),
        _class_texts(store, classes, config),
    )


def assemble(
    rows: Rows,
    config: FitConfig,
    where: str,
    graph: NDArray[np.float32],
    class_vectors: NDArray[np.float32],
    names: ClassTexts,
) -> Task:
    """The task of some labeled rows.

    Args:
        rows: with labels; those of split ``test`` are left out.
        config: validation share and seed.
        where: name of the source, for messages.
        graph: (K, K) semantic distances of the sorted labels.
        class_vectors: (K, Dc) unit vectors of the class names, Dc may be 0.
        names: vectors and class numbers of texts to train on besides the rows'.

    Raises:
        FitError: fewer than two classes.
    """
    _require_classes(rows, where)
    train, val, held_out = _split(rows, config)
    classes = sorted(set(rows.label[rows.split != "test"]))
    everything = None
    if len(held_out):
        everything = TrainingRows.of(concatenate([train, held_out]), classes).with_texts(*names)
    return Task(
        classes,
        graph,
        class_vectors,
        TrainingRows.of(train, classes).with_texts(*names),
        len(train),
        TrainingRows.of(val, classes),
        val,
        everything,
    )


def load_graph(semantic_graph: str, store: Store, classes: list[str]) -> NDArray[np.float32]:
    """The semantic graph (K, K) of the classes, in their order.

    Args:
        semantic_graph: ``names`` (class names through the text encoder, made by stage 1), ``taxonomy`` (label paths),
            or a .npy file with a K x K matrix in the order of the sorted labels.
        store: where the vectors of the class names are.
        classes: sorted label paths.

    Raises:
        FitError: the store has no vector for a class name, or the file does not hold such a matrix.
    """
    if semantic_graph == "taxonomy":
        return graph_from_taxonomy(classes)
    if semantic_graph == "names":
        return _graph_of_names(store, classes)
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


def _graph_of_names(store: Store, classes: list[str]) -> NDArray[np.float32]:
    stored = store.read_classes()
    number = {label: i for i, label in enumerate(stored.labels)} if stored else {}
    missing = [label for label in classes if label not in number]
    if stored is None or missing:
        raise FitError(
            f"{store.path}: no vector for the class names; run huse extract again, or use --semantic-graph taxonomy"
        )
    return graph_from_vectors(stored.vectors[[number[label] for label in classes]])


def _class_vectors(store: Store, classes: list[str], config: FitConfig) -> NDArray[np.float32]:
    """Unit vectors of the class names, in the order of the classes.

    Raises:
        FitError: the objective maps onto them, and there are none or they have another dimension.
    """
    stored = store.read_classes()
    number = {label: i for i, label in enumerate(stored.labels)} if stored else {}
    if stored is None or not set(classes) <= set(number):
        vectors = np.zeros((len(classes), 0), np.float32)
    else:
        vectors = stored.vectors[[number[label] for label in classes]]
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    if config.objective in ONTO_CLASS_NAMES and vectors.shape[1] != config.dimension:
        raise FitError(
            f"objective {config.objective} maps onto class-name vectors: {store.path} has them in "
            f"{vectors.shape[1]} dimensions, --dimension is {config.dimension}"
        )
    return vectors


def _class_texts(store: Store, classes: list[str], config: FitConfig) -> ClassTexts:
    """The class names as texts to train on and their class numbers; none where they are not of the text encoder."""
    stored = store.read_classes()
    none = np.zeros((0, store.info.text.dimension if store.info.text else 0), np.float32), np.zeros(0, np.int32)
    if not config.class_names or stored is None or stored.encoder != str(store.info.text):
        return none
    known = [i for i, label in enumerate(stored.labels) if label in set(classes)]
    numbers = [classes.index(stored.labels[i]) for i in known]
    return stored.vectors[known], np.array(numbers, np.int32)


def _labeled(store: Store) -> Rows:
    rows = store.load()
    usable = rows.has_image | rows.has_text
    unlabeled = usable & (rows.label == "") & (rows.split != "test")
    if unlabeled.any():
        first = rows.key[int(np.argmax(unlabeled))]
        warnings.warn(
            f"{int(unlabeled.sum())} rows have no label, the first is key {first!r}; they are not trained on",
            stacklevel=4,
        )
    return rows.take(usable & (rows.label != ""))


def _require_classes(rows: Rows, where: str) -> None:
    labels = rows.label[(rows.split == "train") | (rows.split == "")]
    if len(set(labels)) < 2:
        raise FitError(f"{where}: {len(labels)} labeled training rows of {len(set(labels))} classes; 2 are needed")


def _split(rows: Rows, config: FitConfig) -> tuple[Rows, Rows, Rows]:
    """Rows to train on, rows to validate on, and those of the latter that were held out of the training rows."""
    train = rows.take((rows.split == "train") | (rows.split == ""))
    val = rows.take(rows.split == "val")
    if len(val):
        return train, val, val.take(np.zeros(len(val), bool))
    held = hold_out(train.label, config.val_fraction, config.seed)
    return train.take(~held), train.take(held), train.take(held)
