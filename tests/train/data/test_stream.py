"""Streamed training rows: every row once an epoch, windows mixed from all shards, the same values as in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import random_store

from huse.features.errors import FitError, ShardError
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model
from huse.train.config import FitConfig
from huse.train.data import memory, stream
from huse.train.data.batches import TrainingRows
from huse.train.data.memory import machine_memory, streaming_window
from huse.train.data.stream import StreamedRows, plan_windows
from huse.train.data.task import prepare
from huse.train.fit import fit_model

ROW_BYTES = 10 * 4
FAST = FitConfig(dimension=16, hidden_units=32, learning_rate=0.01, epochs=12, batch_size=16, patience=0)
STREAMED = replace(FAST, memory="streamed", memory_budget=memory.WINDOWS * 40 * ROW_BYTES / 2**30)


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    block=st.integers(1, 12),
    window=st.integers(5, 60),
    seed=st.integers(0, 99),
)
def test_windows_hold_every_row_once_in_blocks_of_one_shard(
    counts: list[int], block: int, window: int, seed: int
) -> None:
    shard = np.repeat(np.arange(len(counts)), counts)
    windows = plan_windows(shard, block, window, np.random.default_rng(seed))
    blocks = [part for parts in windows for part in parts]
    assert sorted(i for part in blocks for i in range(part.start, part.stop)) == list(range(len(shard)))
    assert all(part.stop - part.start <= block and len(set(shard[part])) == 1 for part in blocks)
    assert all(sum(part.stop - part.start for part in parts) <= window + block for parts in windows)


def test_windows_mix_shards_and_differ_by_epoch() -> None:
    shard = np.repeat(np.arange(20), 100)
    epochs = [plan_windows(shard, 10, 400, np.random.default_rng(seed)) for seed in (0, 1)]
    assert epochs[0] != epochs[1]
    assert all(len({int(shard[part.start]) for part in parts}) > 10 for parts in epochs[0])


@pytest.fixture
def streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[StreamedRows, TrainingRows]:
    monkeypatch.setattr(stream, "BLOCK", 7)
    store = random_store(tmp_path / "s", n=300, shard_size=45)
    data, resident = prepare(store, STREAMED).data, prepare(store, replace(STREAMED, memory="resident")).data
    assert isinstance(data, StreamedRows)
    assert isinstance(resident, TrainingRows)
    return data, resident


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


@pytest.mark.parametrize("size", [16, 37])
def test_an_epoch_has_every_row_once(streamed: tuple[StreamedRows, TrainingRows], size: int) -> None:
    data, resident = streamed
    rows = np.arange(3, len(data))
    windows = list(data.windows(rows, size, np.random.default_rng(0), None))
    assert len(windows) > 4
    assert all(len(order) % size == 0 for _, order in windows[:-1])
    assert all(len(window) <= 40 + 7 + size for window, _ in windows)
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


def test_a_store_ten_times_the_budget_trains_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BLOCK", 8)
    store = random_store(tmp_path / "s", n=2000, shard_size=100)
    assert len(store) * ROW_BYTES > 10 * STREAMED.memory_budget * 2**30
    scores = {}
    for name, config in (("resident", FAST), ("streamed", STREAMED)):
        summary = fit_model(store.path, tmp_path / name, replace(config, epochs=3))
        scores[name] = summary.metrics["retrieval"]["image_to_text"]["map"]
        assert load_model(tmp_path / name).config.memory == config.memory
    assert scores["streamed"] == pytest.approx(scores["resident"], abs=0.05)


def test_memory_is_resident_only_when_it_fits() -> None:
    auto = FitConfig(batch_size=10, memory_budget=1.0)
    fits = int(2**30 / memory.COPIES / 100)
    assert streaming_window(auto, fits, 100) == 0
    assert streaming_window(auto, fits + 1, 100) == 2**30 // memory.WINDOWS // 100
    assert streaming_window(replace(auto, memory="resident"), 10**9, 100) == 0
    assert streaming_window(replace(auto, memory="streamed"), 50, 100) > 50
    with pytest.raises(
        FitError,
        match=r"windows of 2 rows, two batches are 20; give memory_budget=7.45e-06 \(--memory-budget\) or more",
    ):
        streaming_window(replace(auto, memory="streamed", memory_budget=1e-6), 50, 100)
    assert 2**28 < machine_memory() < 2**50


def test_damage_is_found_before_training(tmp_path: Path, small_store: Store) -> None:
    path = small_store.shard_path(1)
    content = bytearray(path.read_bytes())
    vector = small_store.read(1).image.vectors[3].tobytes()
    content[content.index(vector)] ^= 1
    path.write_bytes(content)
    with pytest.raises(ShardError, match="shard-00001"):
        fit_model(small_store.path, tmp_path / "m", STREAMED)
