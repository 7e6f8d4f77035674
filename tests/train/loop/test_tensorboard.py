"""What a fit tells TensorBoard, read back as TensorBoard reads it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.util.tensor_util import make_ndarray

from huse.features.errors import ExtraError, FitError, QueryError
from huse.features.extras import require
from huse.features.store import Store
from huse.train.config import FitConfig
from huse.train.fit import fit_model
from huse.train.loop.projector_files import write_projector

CONFIG = FitConfig(dimension=8, hidden_units=16, epochs=5, patience=0, batch_size=16)


def test_a_fit_is_logged_as_it_stands_in_its_history(small_store: Store, tmp_path: Path) -> None:
    fit_model(small_store.path, tmp_path / "m", CONFIG, tensorboard=tmp_path / "logs")
    with (tmp_path / "m" / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    for phase in ("search", "refit"):
        events = EventAccumulator(str(tmp_path / "logs" / phase)).Reload()
        entries = [entry for entry in history if entry["phase"] == phase]
        names = [name for name, value in entries[-1].items() if value and name not in ("phase", "epoch")]
        assert {"loss", "class", "graph"} < set(names) == set(events.Tags()["tensors"])
        for name in names:
            shown = {event.step: float(make_ndarray(event.tensor_proto)) for event in events.Tensors(name)}
            expected = {int(entry["epoch"]): float(entry[name]) for entry in entries if entry[name]}
            assert shown == pytest.approx(expected, rel=1e-5)
    assert "val_image_to_text_r_at_1" in history[0]


def test_the_projector_finds_vectors_and_their_classes(small_store: Store, tmp_path: Path) -> None:
    fit_model(small_store.path, tmp_path / "m", CONFIG, tensorboard=tmp_path / "logs")
    folder = tmp_path / "logs" / "search"
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    vectors = np.loadtxt(folder / config.embeddings[0].tensor_path, delimiter="\t")
    header, *rows = (folder / config.embeddings[0].metadata_path).read_text().splitlines()
    assert header == "class\tmodality"
    assert len(rows) == len(vectors) > 0
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert {row.split("\t")[1] for row in rows} == {"image", "text"}


def test_cells_stay_in_their_row_and_column(tmp_path: Path) -> None:
    write_projector(tmp_path, np.eye(2), {"text": ["a\tb\nc", "ü"], "class": ["x", "y"]})
    assert (tmp_path / "metadata.tsv").read_text(encoding="utf-8") == "text\tclass\na b c\tx\nü\ty\n"
    write_projector(tmp_path, np.eye(2), {"text": ["one", "two"]})
    assert (tmp_path / "metadata.tsv").read_text() == "one\ntwo\n"


def test_a_missing_package_names_its_extra() -> None:
    with pytest.raises(ExtraError, match=r"--tensorboard needs no_such_package: pip install 'huse\[tensorboard\]'"):
        require("no_such_package", "tensorboard", "--tensorboard")


def test_logs_are_written_over_nothing_of_others(small_store: Store, tmp_path: Path) -> None:
    (tmp_path / "logs" / "search").mkdir(parents=True)
    (tmp_path / "logs" / "search" / "vectors.tsv").write_text("of the user")
    with pytest.raises(QueryError, match=r"vectors\.tsv: is there already, and is not of huse"):
        fit_model(small_store.path, tmp_path / "m", CONFIG, tensorboard=tmp_path / "logs")
    for logs in (small_store.path, small_store.path / "logs", tmp_path / "m"):
        with pytest.raises(FitError, match="name another output"):
            fit_model(small_store.path, tmp_path / "m", CONFIG, tensorboard=logs)
    assert not (tmp_path / "m").exists()
