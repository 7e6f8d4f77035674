"""Whatever cannot be written at the end of a command is refused at its start."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from huse.embed.draw.hits_page import place_of_hits_page
from huse.embed.draw.model_plots import plot_graph, plot_history
from huse.embed.draw.plot import plot_map
from huse.embed.export.card import export_card
from huse.embed.export.onnx import export_onnx
from huse.embed.export.projector import export_projector
from huse.embed.export.savedmodel import export_savedmodel
from huse.features.errors import HuseError, StoreError
from huse.features.exchange.interchange import export_store, import_store
from huse.features.exchange.merge_split import merge_stores, split_store
from huse.features.files.folders import require_place
from huse.train.compare.compare import compare
from huse.train.evaluate import evaluate_model
from huse.train.fit import fit_model

NOWHERE = "not-there"
"""An input that would be told as missing, were the output not refused before it is looked at."""

COMMANDS: dict[str, Callable[[Path], Any]] = {
    "fit": lambda out: fit_model(NOWHERE, out / "model"),
    "evaluate --report": lambda out: evaluate_model(NOWHERE, NOWHERE, report=out / "report"),
    "plot": lambda out: plot_map(NOWHERE, out / "map.png"),
    "plot --graph": lambda out: plot_graph(NOWHERE, out / "graph.png"),
    "plot --history": lambda out: plot_history(NOWHERE, out / "history.png"),
    "search --open": lambda out: place_of_hits_page(out / "embeddings"),
    "export savedmodel": lambda out: export_savedmodel(NOWHERE, out / "saved"),
    "export onnx": lambda out: export_onnx(NOWHERE, out / "towers.onnx"),
    "export projector": lambda out: export_projector(NOWHERE, out / "projector"),
    "export card": lambda out: export_card(NOWHERE, out / "card"),
    "store merge": lambda out: merge_stores([NOWHERE], out / "merged"),
    "store split": lambda out: split_store(NOWHERE, out / "parts"),
    "store import": lambda out: import_store(out / "store", image=f"{NOWHERE}.npy"),
    "store export to a file": lambda out: export_store(NOWHERE, out / "all.parquet"),
    "store export to a folder": lambda out: export_store(NOWHERE, out / "all"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_place_below_a_file_is_refused_before_any_input_is_read(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of the user")
    with pytest.raises(HuseError, match=rf"^{tmp_path}/file/\S+: {tmp_path}/file is a file; name"):
        COMMANDS[command](tmp_path / "file")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_cannot_be_written_is_refused_before_any_input_is_read(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch)
    with pytest.raises(HuseError, match=rf"^{tmp_path}/\S+: the folder {tmp_path} cannot be written \(Read-only"):
        COMMANDS[command](tmp_path)
    assert not list(tmp_path.iterdir())


def test_compare_refuses_its_folder_before_it_tunes(small_store: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of the user")
    with pytest.raises(HuseError, match="is a file; name"):
        compare(small_store.path, tmp_path / "file" / "tables")


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    require_place(tmp_path / "new" / "deep", StoreError)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="a folder of Linux that not even root can write")
def test_a_folder_that_root_cannot_write_is_told() -> None:
    with pytest.raises(StoreError, match=r"^/proc/sys/out: the folder /proc/sys cannot be written \(.+\); make it"):
        require_place("/proc/sys/out", StoreError)


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every folder one of a disk that is mounted to be read only."""

    def refuse(dir: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
