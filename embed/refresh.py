"""Embeddings follow their features: rows that are new or have changed go through the towers, many shards at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.embed.prefix import unit_prefix
from huse.features.columns import FIXED, PREDICTIONS, VECTORS
from huse.features.files.ahead import fetched_ahead
from huse.features.info import StoreInfo
from huse.features.interrupt import interruptible
from huse.features.modality import Modality, Pair
from huse.features.rows import Rows, blank_strings, concatenate
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel
from huse.train.network.forward import Output, class_probabilities, features_of

GROUP_ROWS = 1024

EMBEDDED = (*VECTORS, *PREDICTIONS)
"""The columns that the towers fill."""

Part = tuple[Rows, Rows | None]
"""The features of a shard, and its embeddings by an earlier run."""

Item = TypeVar("Item")
Result = TypeVar("Result")

Done = tuple[int, int, int]
"""Shards and rows that were embedded, and how many of these went through the towers."""

Made = tuple[dict[Path, bytes], Done]
"""The files of shards that are to be written, and what is done then."""

Engine = Callable[[TrainedModel, Store, Store, Sequence[list[int]]], Iterable[Done]]
"""Embeds groups of shards of a store into another."""


def embed_here(trained: TrainedModel, features: Store, target: Store, groups: Sequence[list[int]]) -> Iterator[Done]:
    """The local engine: this process embeds all groups, see `embed_groups`."""
    with interruptible() as check:
        for done in embed_groups(trained, features, target, groups, set(target.shard_numbers())):
            check()
            yield done


def embed_shards(
    trained: TrainedModel,
    features: Store,
    target: Store,
    group_rows: int = GROUP_ROWS,
    engine: Engine = embed_here,
) -> tuple[int, int]:
    """Brings the embeddings in `target` to the features.

    Args:
        trained: the model.
        features: of its encoders.
        target: of its embeddings.
        group_rows: rows that go through the towers at a time, of as many shards as hold them; a large shard is alone.
        engine: where that is done.

    Returns:
        Rows of the target, and how many of them went through the towers.
    """
    total = embedded = 0
    numbers = features.shard_numbers()
    target.write_plan(len(numbers))
    stale = set(target.shard_numbers()) - set(numbers)
    size = max(1, group_rows // features.info.shard_size)
    groups = [numbers[start : start + size] for start in range(0, len(numbers), size)]
    with tqdm(total=len(numbers), desc="embed", unit="shard", disable=None) as bar:
        for shards, rows, new in engine(trained, features, target, groups):
            total, embedded = total + rows, embedded + new
            bar.update(shards)
    for number in stale:
        target.shard_path(number).unlink()
    return total, embedded


def embed_groups(
    trained: TrainedModel, features: Store, target: Store, groups: Sequence[list[int]], there: Collection[int]
) -> Iterator[Done]:
    """Embeds the shards of each group together; yields when they are written.

    `there` are the shards that the target has.
    """

    def read(group: list[int]) -> list[Part]:
        return [(features.read(i), target.read_or_none(i) if i in there else None) for i in group]

    def paths_of(group: list[int]) -> list[Path]:
        return [store.shard_path(i) for i in group for store in (features, target) if store is features or i in there]

    def made(group: list[int], shards: list[tuple[Rows, int, bool]]) -> Made:
        changed = {number: rows for number, (rows, _, differs) in zip(group, shards, strict=True) if differs}
        done = len(group), sum(len(rows) for rows, _, _ in shards), sum(new for _, new, _ in shards)
        return target.files_of(changed), done

    def write(made: Made) -> Done:
        files, done = made
        target.put(files)
        return done

    with ThreadPoolExecutor(1, "huse-towers") as towers, ThreadPoolExecutor(1, "huse-write") as disk:
        # HDF5 takes one caller at a time, which this thread is; two that read and make shards would wait for each other
        shards = _one_ahead(
            towers, partial(_refreshed, trained, target.info), map(read, fetched_ahead(groups, paths_of))
        )
        yield from _one_ahead(disk, write, map(made, groups, shards))


def _one_ahead(thread: Executor, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results of `work` in order; while one is worked on in the thread, the next item is fetched here."""
    begun: Future[Result] | None = None
    for item in items:
        following = thread.submit(work, item)
        if begun is not None:
            yield begun.result()
        begun = following
    if begun is not None:
        yield begun.result()


def _refreshed(trained: TrainedModel, info: StoreInfo, parts: Sequence[Part]) -> list[tuple[Rows, int, bool]]:
    """As `refreshed`, and whether each differs from the embeddings by an earlier run."""
    done = zip(parts, refreshed(trained, info, parts), strict=True)
    return [(rows, new, old is None or not rows.holds_the_same_as(old)) for (_, old), (rows, new) in done]


def refreshed(trained: TrainedModel, info: StoreInfo, parts: Sequence[Part]) -> list[tuple[Rows, int]]:
    """The embeddings of some shards, and how many rows of each went through the towers, in one pass.

    Args:
        trained: the model.
        info: of the embeddings: their type and length.
        parts: the features of each, and its embeddings by the same model, of which those of rows whose key and content
            are the same are taken over.
    """
    positions = [None if previous is None else _unchanged(rows, previous) for rows, previous in parts]
    taken = [rows if at is None else rows.take(at < 0) for at, (rows, _) in zip(positions, parts, strict=True)]
    fresh = _as_kept(embed_rows(trained, concatenate(taken)), info).columns()
    embedded = {name: fresh[name] for name in EMBEDDED}
    done, start = [], 0
    for (rows, previous), at, new in zip(parts, positions, map(len, taken), strict=True):
        columns = {name: column[start : start + new] for name, column in embedded.items()}
        start += new
        if previous is not None and at is not None:
            old = previous.columns()
            columns = {name: _filled(old[name], at, column) for name, column in columns.items()}
        done.append((Rows.of_columns({**rows.columns(), **columns}, rows.failures), new))
    return done


def _as_kept(rows: Rows, info: StoreInfo) -> Rows:
    """Rows with their embeddings as they will be read from a store."""

    def kept(modality: str) -> Modality:
        its = rows.modalities.of(modality)
        return replace(its, vectors=unit_prefix(its.vectors, info.widths.of(modality)))

    return replace(rows, image=kept("image"), text=kept("text")).encoded(info.dtype).decoded()


def _filled(old: NDArray[Any], at: NDArray[np.intp], new: NDArray[Any]) -> NDArray[Any]:
    """Entries of an old column, and new ones where `at` is below 0."""
    filled = old[at] if len(old) else np.empty((len(at), *old.shape[1:]), old.dtype)
    filled[at < 0] = new
    return filled


def _unchanged(rows: Rows, previous: Rows) -> NDArray[np.intp]:
    """(n,) the position of each row among the previous ones, or -1 where it is new or has changed."""
    position = {key: i for i, key in enumerate(previous.key)}
    at = np.array([position.get(key, -1) for key in rows.key], np.intp)
    known = np.flatnonzero(at >= 0)
    new, old = rows.columns(), previous.columns()
    for name in FIXED:
        same = new[name][known] == old[name][at[known]]
        at[known[~same.all(axis=tuple(range(1, same.ndim)))]] = -1
        known = np.flatnonzero(at >= 0)
    return at


def embed_rows(trained: TrainedModel, rows: Rows) -> Rows:
    """The same rows with embeddings in place of features, and with the predicted class and its probability."""
    outputs = trained.forward(features_of(rows, trained.network))
    fused = class_probabilities(outputs, rows.present, trained.fusion_weight)["fused"]
    known = rows.present.image | rows.present.text
    both = Pair.by_name(lambda modality: _embedded(rows.modalities.of(modality), outputs.of(modality)))
    predicted, probability = _most_probable(fused, trained.classes if trained.classifies else [])
    return replace(
        rows,
        image=both.image,
        text=both.text,
        prediction=np.where(known, predicted, ""),
        probability=probability,
    )


def _most_probable(
    probabilities: NDArray[np.float32], classes: list[str]
) -> tuple[NDArray[np.object_], NDArray[np.float32]]:
    """(n,) the most probable class of each row (n, K), and how probable it is; empty and 0 of no classes."""
    if not classes:
        return blank_strings(len(probabilities)), np.zeros(len(probabilities), np.float32)
    return np.array(classes, dtype=object)[probabilities.argmax(axis=1)], probabilities.max(axis=1)


def _embedded(features: Modality, output: Output | None) -> Modality:
    """Embeddings in place of features; of length 0 where the model has no tower."""
    if output is None:
        return replace(features, vectors=np.zeros((len(features), 0), np.float32))
    return replace(features, vectors=output.embedding * features.present[:, None])
