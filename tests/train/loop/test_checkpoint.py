"""A fit that was killed goes on from its checkpoint and ends with the weights of one that was not."""

from __future__ import annotations

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

from huse.features.errors import FitError
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model
from huse.train.config import FitConfig
from huse.train.fit import fit_model
from huse.train.objectives.registry import OBJECTIVES
from huse.train.summary import FitSummary

FAST = FitConfig(dimension=16, hidden_units=32, learning_rate=0.01, epochs=9, batch_size=16, patience=0)


@contextmanager
def epochs(stop: int = 0) -> Iterator[list[int]]:
    """Counts the epochs of fits by the states that are written after each; Ctrl-C comes before the `stop`-th is."""
    counted: list[int] = []
    write = np.savez

    def counting(*arguments: Any, **arrays: Any) -> None:
        counted.append(len(counted) + 1)
        if len(counted) == stop:
            raise KeyboardInterrupt
        write(*arguments, **arrays)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "savez", counting)
        yield counted


@dataclass(frozen=True)
class Whole:
    """A fit that nothing interrupted."""

    store: Path
    model: Path
    summary: FitSummary


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    store = random_store(folder / "store").path
    return Whole(store, folder / "m", fit_model(store, folder / "m", FAST))


@pytest.mark.parametrize("stop", [3, 8, 11])
def test_resumed_equals_uninterrupted(whole: Whole, tmp_path: Path, stop: int) -> None:
    with pytest.raises(KeyboardInterrupt), epochs(stop):
        fit_model(whole.store, tmp_path / "m", FAST, checkpoint_every=0)
    assert not (tmp_path / "m").exists()
    with epochs() as ran:
        again = fit_model(whole.store, tmp_path / "m", FAST, resume=True, checkpoint_every=0)
    in_all = whole.summary.epochs + FAST.epochs  # refits take 10, or all
    assert len(ran) == in_all - stop + 1, "goes on, does not start again"
    assert load_model(tmp_path / "m").fingerprint == load_model(whole.model).fingerprint
    assert replace(again, seconds=0) == replace(whole.summary, seconds=0)
    assert (tmp_path / "m" / "history.csv").read_text() == (whole.model / "history.csv").read_text()
    assert not list(tmp_path.glob("*.checkpoint.npz"))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_repeats_itself_and_resumes(small_store: Store, tmp_path: Path, objective: str) -> None:
    config = replace(FAST, objective=objective, dimension=4, epochs=3, refit=False)
    fit_model(small_store.path, tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt), epochs(stop=3):
        fit_model(small_store.path, tmp_path / "m", config, checkpoint_every=0)
    fit_model(small_store.path, tmp_path / "m", config, resume=True)
    assert load_model(tmp_path / "m").fingerprint == load_model(tmp_path / "whole").fingerprint


KILLED = """
import sys
from huse.train.config import FitConfig
from huse.train.fit import fit_model
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


def test_a_checkpoint_of_another_fit_is_refused(small_store: Store, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), epochs(stop=3):
        fit_model(small_store.path, tmp_path / "m", FAST, checkpoint_every=0)
    with pytest.raises(FitError, match=r"m\.checkpoint\.npz: belongs to a fit with other rows or options"):
        fit_model(small_store.path, tmp_path / "m", replace(FAST, dropout=0.1), resume=True)
    (tmp_path / "m.checkpoint.npz").write_bytes(b"nothing")
    with pytest.raises(FitError, match="damaged checkpoint"):
        fit_model(small_store.path, tmp_path / "m", FAST, resume=True)
    fit_model(small_store.path, tmp_path / "m", FAST)  # without --resume it starts anew
