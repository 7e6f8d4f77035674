"""Streamed training rows: every row once an epoch, windows mixed from all shards, the same values as in memory."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import random_store

from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import FitError, ShardError
from huse.features.info import FEATURES, StoreInfo
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model
from huse.train.config import FitConfig
from huse.train.data import memory, stream
from huse.train.data.batches import TrainingRows
from huse.train.data.memory import machine_memory, streaming_window
from huse.train.data.stream import StreamedRows, blocks_of, plan_windows
from huse.train.data.task import prepare
from huse.train.fit import fit_model

ROW_BYTES = 10 * 4
FAST = FitConfig(dimension=16, hidden_units=32, learning_rate=0.01, epochs=12, batch_size=16, patience=0)
STREAMED = replace(FAST, memory="streamed", memory_budget=memory.PREPARED * 300 / 2**30)
"""Of 300 rows of `random_store` it holds windows of about 45."""


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    block=st.integers(1, 12),
    window=st.integers(5, 60),
    seed=st.integers(0, 99),
)
def test_windows_hold_every_row_once_in_blocks_of_one_shard(
    counts: list[int], block: int, window: int, seed: int
) -> None:
    shard, place = np.repeat(np.arange(len(counts)), counts), np.concatenate([np.arange(count) for count in counts])
    windows = plan_windows(blocks_of(shard, place, block), window, np.random.default_rng(seed))
    blocks = [part for parts in windows for part in parts]
    assert sorted(i for part in blocks for i in range(part.start, part.stop)) == list(range(len(shard)))
    assert all(part.stop - part.start <= block and len(set(shard[part])) == 1 for part in blocks)
    assert all(sum(part.stop - part.start for part in parts) <= window + block for parts in windows)


def test_a_block_of_scattered_rows_is_a_short_read() -> None:
    place = np.array([0, 3, 99, 100, 850, 5, 6])
    assert blocks_of(np.array([0, 0, 0, 0, 0, 1, 1]), place, 100) == [
        slice(0, 3),
        slice(3, 4),
        slice(4, 5),
        slice(5, 7),
    ]


def test_windows_mix_shards_and_differ_by_epoch() -> None:
    shard = np.repeat(np.arange(20), 100)
    blocks = blocks_of(shard, np.arange(2000) % 100, 10)
    epochs = [plan_windows(blocks, 400, np.random.default_rng(seed)) for seed in (0, 1)]
    assert epochs[0] != epochs[1]
    assert all(len({int(shard[part.start]) for part in parts}) > 10 for parts in epochs[0])


@pytest.fixture
def streamed(tmp_path: Path) -> tuple[StreamedRows, TrainingRows]:
    store = random_store(tmp_path / "s", n=300, shard_size=45)
    data, resident = prepare(store, STREAMED).data, prepare(store, replace(STREAMED, memory="resident")).data
    assert isinstance(data, StreamedRows)
    assert isinstance(resident, TrainingRows)
    return replace(data, block=7), resident


def test_rows_on_disk_are_those_in_memory(streamed: tuple[StreamedRows, TrainingRows]) -> None:
    data, resident = streamed
    assert len(data) == len(resident) == 240 + 3
    rows = np.random.default_rng(0).permutation(len(data))[:150]
    ours, theirs = data.take(rows), resident.take(rows)
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    for modality, side in ours.modalities.items():
        np.testing.assert_array_equal(side.vectors, theirs.modalities.of(modality).vectors)
        np.testing.assert_array_equal(side.present, theirs.present.of(modality))
        assert data.dimension(modality) == resident.dimension(modality)
        streamed, whole = (vars(kind.moments(modality, rows, True)) for kind in (data, resident))
        for a, b in zip(streamed.values(), whole.values(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("size", [16, 29])
def test_an_epoch_has_every_row_once(streamed: tuple[StreamedRows, TrainingRows], size: int) -> None:
    data, resident = streamed
    rows = np.arange(3, len(data))
    windows = list(data.windows(rows, size, np.random.default_rng(0), None))
    assert len(windows) > 4
    assert all(len(order) % size == 0 for _, order in windows[:-1])
    assert all(len(window) <= data.window for window, _ in windows)
    seen = np.concatenate(
        [np.hstack([w.image.vectors, w.text.vectors, w.labels[:, None]])[order] for w, order in windows]
    )
    there = np.hstack([resident.image.vectors, resident.text.vectors, resident.labels[:, None]])[rows]
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(there, axis=0))
    assert len(np.unique(seen, axis=0)) == len(rows)


def test_balanced_draws_come_from_the_disk_too(streamed: tuple[StreamedRows, TrainingRows]) -> None:
    data, _ = streamed
    rows, draws = np.arange(100), np.repeat([0.0, 1 / 50], 50)
    drawn = [w.labels[order] for w, order in data.windows(rows, 10, np.random.default_rng(0), draws)]
    assert sum(map(len, drawn)) == 100
    again = [w.labels[order] for w, order in data.windows(rows, 10, np.random.default_rng(0), draws)]
    np.testing.assert_array_equal(np.concatenate(drawn), np.concatenate(again))


def test_a_store_larger_than_its_budget_trains_as_well(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s", n=2000, shard_size=100)
    scores = {}
    for name, config in (("resident", FAST), ("streamed", STREAMED)):
        config = replace(config, epochs=3, memory_budget=150e3 / 2**30, refit=name == "streamed")
        summary = fit_model(store.path, tmp_path / name, config)
        scores[name] = summary.metrics["retrieval"]["image_to_text"]["map"]
        assert load_model(tmp_path / name).config.memory == config.memory
    assert scores["streamed"] == pytest.approx(scores["resident"], abs=0.05)


@pytest.fixture(scope="module")
def large_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """48 MiB of vectors in shards of 3 MiB."""
    image, text = (EncoderSpec(f"{modality}-test", modality, 384, "none", "0") for modality in ("image", "text"))
    store = Store.create(tmp_path_factory.mktemp("large") / "s", StoreInfo(FEATURES, image, text, 1024, "float32"))
    for index in range(16):
        rows = Rows.empty(1024, 384, 384)
        for _, its in rows.modalities.items():
            its.vectors[:] = np.random.default_rng(index).random((1024, 384), np.float32)
            its.present[:] = True
        rows.key[:] = [f"row {1024 * index + i}" for i in range(1024)]
        rows.label[:] = [f"class {i % 10}" for i in range(1024)]
        store.write(index, rows)
    return store


def peak_of(work: Callable[[], Any]) -> int:
    """Bytes at the peak of some work above those before it; NumPy reports its arrays."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_tenth_of_the_features_is_all_that_is_held(large_store: Store) -> None:
    budget = 48 * 2**20 // 10
    config = replace(STREAMED, memory_budget=budget / 2**30, batch_size=64, val_fraction=0.02)
    seen = 0

    def epoch() -> None:
        nonlocal seen
        task = prepare(large_store, config)
        assert isinstance(task.data, StreamedRows)
        for window, order in task.data.windows(task.train, 64, np.random.default_rng(0), None):
            on_the_device = window.image.vectors.copy(), window.text.vectors.copy()
            seen += len(order)
            del on_the_device

    small = peak_of(lambda: large_store.columns(0, ("label", "image_digest")))
    assert peak_of(epoch) < budget + small + stream.PART_VALUES
    assert seen > 0.97 * 16 * 1024
    whole = replace(config, memory="resident")
    assert peak_of(lambda: prepare(large_store, whole)) > 5 * budget, "what is measured are the features"


def test_statistics_take_a_part_of_a_shard_at_a_time(large_store: Store) -> None:
    task = prepare(large_store, replace(STREAMED, memory_budget=0.01))
    assert isinstance(task.data, StreamedRows)
    data = replace(task.data, part_values=1 << 14)
    data.moments("image", task.train, True)  # checks the digests, which reads 16 MiB at a time
    assert peak_of(lambda: data.moments("image", task.train, True)) < 1024 * 384 * 4


def test_memory_is_resident_only_when_it_fits() -> None:
    auto = FitConfig(batch_size=10, memory_budget=1.0)
    fits = int(2**30 / memory.COPIES / 100)
    assert streaming_window(auto, fits, 100) == 0
    rest = 2**30 - memory.HELD * (fits + 1) - 100 * 7
    assert streaming_window(auto, fits + 1, 100, resident=7) == rest // memory.WINDOWS // (100 + memory.WINDOW_NUMBERS)
    assert streaming_window(replace(auto, memory="resident"), 10**9, 100) == 0
    assert streaming_window(replace(auto, memory="streamed"), 50, 100) > 50
    assert 2**28 < machine_memory() < 2**50


@pytest.mark.parametrize(("rows", "row_bytes"), [(50, 100), (10**6, 4), (10**6, 4096)])
def test_a_budget_that_is_too_small_is_refused_and_the_one_advised_is_taken(rows: int, row_bytes: int) -> None:
    config = FitConfig(batch_size=10, memory="streamed", memory_budget=1e-6)
    with pytest.raises(FitError, match=rf"too small for {rows} rows and windows of two batches, 20 rows") as refused:
        streaming_window(config, rows, row_bytes)
    advised = re.search(r"give memory_budget=(\S+) \(--memory-budget\) or more", str(refused.value))
    assert advised
    assert streaming_window(replace(config, memory_budget=float(advised[1])), rows, row_bytes) >= 20


def test_damage_is_found_before_training(tmp_path: Path, small_store: Store) -> None:
    path = small_store.shard_path(1)
    content = bytearray(path.read_bytes())
    vector = small_store.read(1).image.vectors[3].tobytes()
    content[content.index(vector)] ^= 1
    path.write_bytes(content)
    with pytest.raises(ShardError, match="shard-00001"):
        fit_model(small_store.path, tmp_path / "m", STREAMED)
