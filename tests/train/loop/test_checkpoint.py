"""A fit that was killed goes on from its checkpoint and ends with the weights of one that was not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from command_line import ok
from samples import random_store

from huse.features.errors import FitError
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model
from huse.train.config import FitConfig
from huse.train.fit import fit_model
from huse.train.loop import checkpoint as module
from huse.train.loop.training import Training
from huse.train.objectives.registry import OBJECTIVES
from huse.train.summary import FitSummary

FAST = FitConfig(dimension=16, hidden_units=32, learning_rate=0.01, epochs=9, batch_size=16, patience=0)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN", 0.0)


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


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("stop", [3, 8, 11])
def test_resumed_equals_uninterrupted(whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    ran, epoch = 0, Training.epoch

    def interrupted(self: Training, number: int) -> dict[str, float]:
        nonlocal ran
        ran += 1
        if ran == stop:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(Training, "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_model(whole.store, tmp_path / "m", FAST)
    assert not (tmp_path / "m").exists()
    ran = 100
    again = fit_model(whole.store, tmp_path / "m", FAST, resume=True)
    epochs = whole.summary.epochs + FAST.epochs  # refits take 10, or all
    assert ran - 100 == epochs - stop + 1, "goes on, does not start again"
    assert load_model(tmp_path / "m").fingerprint == load_model(whole.model).fingerprint
    assert replace(again, seconds=0) == replace(whole.summary, seconds=0)
    assert (tmp_path / "m" / "history.csv").read_text() == (whole.model / "history.csv").read_text()
    assert not list(tmp_path.glob("*.checkpoint.npz"))


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_repeats_itself_and_resumes(
    small_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    config = replace(FAST, objective=objective, dimension=4, epochs=3, refit=False)
    fit_model(small_store.path, tmp_path / "whole", config)
    epoch = Training.epoch

    def interrupted(self: Training, number: int) -> dict[str, float]:
        if number == 3:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(Training, "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_model(small_store.path, tmp_path / "m", config)
    monkeypatch.setattr(Training, "epoch", epoch)
    fit_model(small_store.path, tmp_path / "m", config, resume=True)
    assert load_model(tmp_path / "m").fingerprint == load_model(tmp_path / "whole").fingerprint


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(small_store: Store, tmp_path: Path) -> None:
    options = ["--hidden-units", "64", "--dimension", "16", "--epochs", "150", "--patience", "0", "--no-refit"]
    code = "from huse.train.loop import checkpoint; checkpoint.SECONDS_BETWEEN = 0.2; from huse.cli import main; main()"
    command = [sys.executable, "-c", code, "fit", str(small_store.path)]
    ok("fit", small_store.path, tmp_path / "whole", *options)
    process = subprocess.Popen([*command, str(tmp_path / "m"), *options], stderr=subprocess.DEVNULL)
    while not (tmp_path / "m.checkpoint.npz").exists():
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "m").exists()
    ok("fit", small_store.path, tmp_path / "m", *options, "--resume")
    assert load_model(tmp_path / "m").fingerprint == load_model(tmp_path / "whole").fingerprint


@pytest.mark.usefixtures("often")
def test_a_checkpoint_of_another_fit_is_refused(
    small_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = Training.epoch

    def interrupted(self: Training, number: int) -> dict[str, float]:
        if number == 3:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(Training, "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_model(small_store.path, tmp_path / "m", FAST)
    monkeypatch.setattr(Training, "epoch", epoch)
    with pytest.raises(FitError, match=r"m\.checkpoint\.npz: belongs to a fit with other rows or options"):
        fit_model(small_store.path, tmp_path / "m", replace(FAST, dropout=0.1), resume=True)
    (tmp_path / "m.checkpoint.npz").write_bytes(b"nothing")
    with pytest.raises(FitError, match="damaged checkpoint"):
        fit_model(small_store.path, tmp_path / "m", FAST, resume=True)
    fit_model(small_store.path, tmp_path / "m", FAST)  # without --resume it starts anew
