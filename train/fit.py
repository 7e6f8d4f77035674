"""`huse fit`: from a store to a saved model, with early stopping on validation retrieval."""

from __future__ import annotations

import time
from pathlib import Path

from huse.features.companions import require_encoder_state
from huse.features.errors import FitError
from huse.features.files.folders import require_apart
from huse.features.files.lock import locked
from huse.features.files.place import local, place
from huse.features.info import FEATURES
from huse.features.options import kept_values
from huse.features.settings import settings_text, whole_place
from huse.features.store import Store
from huse.train.artifact.model_files import checkpoint_path
from huse.train.artifact.model_folder import TrainedModel, require_free
from huse.train.config import FitConfig
from huse.train.data.task import Task, prepare
from huse.train.evaluation.measure import without_accuracies
from huse.train.loop.best import Best, best_of
from huse.train.loop.checkpoint import SECONDS_BETWEEN, Checkpoint, identity
from huse.train.loop.refit import refit
from huse.train.loop.search import search_best
from huse.train.loop.strategy import training_scope
from huse.train.loop.tensorboard import Board
from huse.train.network.precision import resolved
from huse.train.network.towers import build_towers
from huse.train.objectives.registry import OBJECTIVES
from huse.train.summary import FitSummary, Spent


def fit_model(
    store: str | Path,
    model: str | Path,
    config: FitConfig = FitConfig(),
    semantic_graph: str = "auto",
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: Path | None = None,
    *,
    checkpoint_every: float = SECONDS_BETWEEN,
) -> FitSummary:
    """Trains the towers on the cached vectors of a store and saves them: `huse fit`.

    Args:
        store: features, with labels or without.
        model: the model folder to write.
        config: hyperparameters.
        semantic_graph: ``auto``, ``names``, ``taxonomy`` or a .npy file, see `load_graph`.
        overwrite: replace a model that is there.
        resume: go on from the checkpoint that an interrupted fit of the same rows and options left beside `model`; it
            ends with the same weights as an uninterrupted one.
        tensorboard: folder for TensorBoard's logs, see `Board`.
        checkpoint_every: seconds from one checkpoint to the next; 0 writes one after every epoch.

    Raises:
        ExtraError: TensorBoard is asked for and not installed.
        FitError: the store or the options do not allow training.
        StoreError: the store cannot be opened.
        ShardError: a shard is damaged.
    """
    folder = place(model)
    require_free(folder, overwrite)
    require_apart(folder, FitError, store, *([semantic_graph] if semantic_graph.endswith(".npy") else []))
    if tensorboard is not None:
        tensorboard = local(tensorboard, FitError, "TensorBoard")
        require_apart(tensorboard, FitError, store, folder)
    with locked(folder):
        require_free(folder, overwrite)  # while this one waited, another fit may have made it
        return _fit(place(store), folder, config, semantic_graph, overwrite, resume, tensorboard, checkpoint_every)


def _fit(
    store: Path,
    folder: Path,
    config: FitConfig,
    semantic_graph: str,
    overwrite: bool,
    resume: bool,
    tensorboard: Path | None,
    checkpoint_every: float,
) -> FitSummary:
    start = time.perf_counter()
    board = Board(tensorboard) if tensorboard else None
    source, config = Store.open(store, FEATURES), resolved(config)
    task = prepare(source, config, semantic_graph)
    prepared = time.perf_counter() - start
    learned = require_encoder_state(source.path, source.info.text)
    checkpoint = Checkpoint(checkpoint_path(folder), identity(task, config), checkpoint_every)
    if not resume:
        checkpoint.remove()
    best = fit_towers(task, config, checkpoint, board)
    specs = source.info.specs
    trained = TrainedModel(
        best.network,
        config,
        specs.image,
        specs.text,
        task.classes,
        task.graph,
        best.fusion_weight,
        best.metrics,
        best.history,
        learned,
        settings=_settings(config, semantic_graph),
    )
    trained.save(folder, overwrite)
    checkpoint.remove()
    return _summary(task, best, prepared, time.perf_counter() - start)


def _settings(config: FitConfig, semantic_graph: str) -> str:
    graph = whole_place(semantic_graph) if semantic_graph.endswith(".npy") else semantic_graph
    return settings_text("fit", {**kept_values(config), "semantic_graph": graph})


def _summary(task: Task, best: Best, prepared: float, seconds: float) -> FitSummary:
    spent = best.spent.seconds
    return FitSummary(
        classes=len(task.classes),
        train_rows=task.train_rows,
        unlabeled_rows=task.unlabeled_rows,
        val_rows=len(task.val),
        epochs=sum(entry["phase"] == "search" for entry in best.history),
        best_epoch=best.epoch,
        refit=any(entry["phase"] == "refit" for entry in best.history),
        seconds=seconds,
        seconds_prepare=prepared + spent["prepare"],
        seconds_read=spent["read"],
        seconds_train=spent["train"],
        seconds_validate=spent["validate"],
        metrics=best.metrics,
        semantic_graph=task.graph_source,
    )


def fit_towers(task: Task, config: FitConfig, checkpoint: Checkpoint | None = None, board: Board | None = None) -> Best:
    """Looks for the best epoch and, if the configuration says so, trains once more on the held out rows too.

    Args:
        task: what to train on.
        config: hyperparameters.
        checkpoint: where the state is kept, and taken up from if it is there.
        board: shows every epoch, and the space of the validation rows.

    Raises:
        FitError: the loss is no finite number, or a device runs out of memory.
    """
    saved = checkpoint.load() if checkpoint else None
    with training_scope(config):
        if saved and saved[1]["phase"] == "refit":
            best = best_of(saved, build_towers(task.data, task.train, len(task.classes), config), Spent())
        else:
            best = search_best(task, config, checkpoint, board, saved)
            saved = None
        if config.refit and task.everything is not None:
            best.network = refit(task, task.everything, config, best, checkpoint, board, saved)
    best.training = None  # frees the rows on the device
    if not OBJECTIVES[config.objective].classifier:
        best.metrics = without_accuracies(best.metrics)
    return best
