"""A fit that was killed goes on from its checkpoint and ends with the weights of one that was not."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import ok
from samples import random_store

from huse.features.companions import ClassVectors
from huse.features.errors import FitError
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model
from huse.train.config import FitConfig
from huse.train.data.stream import StreamedRows
from huse.train.data.task import prepare
from huse.train.evaluate import evaluate_model
from huse.train.fit import fit_model
from huse.train.loop.checkpoint import identity
from huse.train.objectives.registry import OBJECTIVES
from huse.train.summary import FitSummary

FAST = FitConfig(dimension=16, hidden_units=32, learning_rate=0.01, epochs=9, batch_size=16, patience=0)


@contextmanager
def states(stop: int = 0) -> Iterator[list[bytes]]:
    """The states that fits write, one after every epoch; Ctrl-C comes before the `stop`-th is there."""
    kept: list[bytes] = []
    write = np.savez

    def keeping(file: Any, **arrays: Any) -> None:
        if len(kept) + 1 == stop:
            raise KeyboardInterrupt
        copy = io.BytesIO()
        write(copy, **arrays)
        kept.append(copy.getvalue())
        file.write(copy.getvalue())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "savez", keeping)
        yield kept


@dataclass(frozen=True)
class Whole:
    """A fit that nothing interrupted, and its states after each epoch."""

    store: Path
    model: Path
    summary: FitSummary
    states: list[bytes]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    store = random_store(folder / "store").path
    with states() as kept:
        return Whole(store, folder / "m", fit_model(store, folder / "m", FAST, checkpoint_every=0), kept)


@pytest.mark.xdist_group("checkpoint")
@pytest.mark.parametrize("stop", [3, 8, 11])
def test_resumed_equals_uninterrupted(whole: Whole, tmp_path: Path, stop: int) -> None:
    (tmp_path / "m.checkpoint.npz").write_bytes(whole.states[stop - 2])
    with states() as ran:
        again = fit_model(whole.store, tmp_path / "m", FAST, resume=True, checkpoint_every=0)
    in_all = whole.summary.epochs + FAST.epochs  # refits take 10, or all
    assert len(ran) == in_all - stop + 1, "goes on, does not start again"
    assert load_model(tmp_path / "m").fingerprint == load_model(whole.model).fingerprint
    assert replace(again, seconds=0) == replace(whole.summary, seconds=0)
    assert (tmp_path / "m" / "history.csv").read_text() == (whole.model / "history.csv").read_text()
    assert not list(tmp_path.glob("*.checkpoint.npz"))


def test_a_refit_of_larger_batches_resumes(tmp_path: Path) -> None:
    """From 256 rows a batch on losses are compiled: in a step that the search has made, too."""
    config = replace(FAST, epochs=4, batch_size=512)
    store = random_store(tmp_path / "store", n=380, shard_size=380).path
    with states() as kept:
        fit_model(store, tmp_path / "whole", config, checkpoint_every=0)
    (tmp_path / "m.checkpoint.npz").write_bytes(kept[-2])
    fit_model(store, tmp_path / "m", config, resume=True)
    assert load_model(tmp_path / "m").fingerprint == load_model(tmp_path / "whole").fingerprint


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_learns_repeats_itself_and_resumes(small_store: Store, tmp_path: Path, objective: str) -> None:
    labels = sorted(set(small_store.load().label))
    vectors = np.random.default_rng(1).normal(size=(3, 16)).astype(np.float32)
    small_store.write_classes(ClassVectors(labels, labels, vectors, "another encoder"))
    config = FitConfig(objective=objective, dimension=16, hidden_units=32, learning_rate=0.01, epochs=16, refit=False)
    with states() as kept:
        fit_model(small_store.path, tmp_path / "whole", config, checkpoint_every=0)
    result = evaluate_model(tmp_path / "whole", small_store.path)
    if OBJECTIVES[objective].one_space:
        assert result["retrieval"]["image_to_text"]["map"] > (0.3 if objective in ("cme", "sdml") else 0.4)
    if OBJECTIVES[objective].classifier:
        assert result["accuracy"]["fused"] > 0.5
    (tmp_path / "m.checkpoint.npz").write_bytes(kept[len(kept) // 2])
    fit_model(small_store.path, tmp_path / "m", config, resume=True)
    assert load_model(tmp_path / "m").fingerprint == load_model(tmp_path / "whole").fingerprint


KILLED = """
import sys
from huse.train.config import FitConfig
from huse.train.data.stream import StreamedRows
from huse.train.data.task import prepare
from huse.train.evaluate import evaluate_model
from huse.train.fit import fit_model
from huse.train.loop.checkpoint import identity
config = FitConfig(hidden_units=64, dimension=16, epochs=150, patience=0, refit=False)
fit_model(*sys.argv[1:], config, checkpoint_every=0.2)
"""


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(small_store: Store, tmp_path: Path) -> None:
    options = ["--hidden-units", "64", "--dimension", "16", "--epochs", "150", "--patience", "0", "--no-refit"]
    command = [sys.executable, "-c", KILLED, str(small_store.path), str(tmp_path / "m")]
    ok("fit", small_store.path, tmp_path / "whole", *options)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not (tmp_path / "m.checkpoint.npz").exists():
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "m").exists()
    ok("fit", small_store.path, tmp_path / "m", *options, "--resume")
    assert load_model(tmp_path / "m").fingerprint == load_model(tmp_path / "whole").fingerprint


@pytest.mark.xdist_group("checkpoint")
def test_an_interrupted_fit_leaves_its_last_state_and_that_of_another_is_refused(
    small_store: Store, whole: Whole, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt), states(stop=3):
        fit_model(small_store.path, tmp_path / "m", FAST, checkpoint_every=0)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith("m")] == ["m.checkpoint.npz"]
    with np.load(tmp_path / "m.checkpoint.npz") as left, np.load(io.BytesIO(whole.states[1])) as state:
        assert sorted(left) == sorted(state)
        assert all((left[name] == state[name]).all() for name in state)
    with pytest.raises(FitError, match=r"m\.checkpoint\.npz: belongs to a fit with other rows or options"):
        fit_model(small_store.path, tmp_path / "m", replace(FAST, dropout=0.1), resume=True)
    (tmp_path / "m.checkpoint.npz").write_bytes(b"nothing")
    with pytest.raises(FitError, match="damaged checkpoint"):
        fit_model(small_store.path, tmp_path / "m", FAST, resume=True)
    fit_model(small_store.path, tmp_path / "m", replace(FAST, epochs=1, refit=False))  # without --resume: anew


@pytest.mark.xdist_group("checkpoint")
@pytest.mark.parametrize("array", ["best/0", "state/0"])
@pytest.mark.parametrize("epoch", [3, 11], ids=["search", "refit"])
def test_a_state_of_towers_of_other_shapes_is_refused(whole: Whole, tmp_path: Path, epoch: int, array: str) -> None:
    with np.load(io.BytesIO(whole.states[epoch])) as state:
        arrays = dict(state)
    np.savez(tmp_path / "m.checkpoint.npz", **{**arrays, array: arrays[array][..., :-1]})  # type: ignore[arg-type]
    with pytest.raises(FitError, match=r"weights of other shapes.*without resume \(--resume\)"):
        fit_model(whole.store, tmp_path / "m", FAST, resume=True)


def test_windows_of_another_memory_are_another_fit(small_store: Store) -> None:
    config = replace(FAST, memory="streamed", memory_budget=0.01)
    task = prepare(small_store, config)
    assert isinstance(task.data, StreamedRows)
    other = replace(task, data=replace(task.data, window=task.data.window + 1))
    assert len({identity(each, config) for each in (task, other)}) == 2
