"""Runs over tables in memory: what is done again, and what they are called."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pytest
from numpy.typing import NDArray

import huse
from huse.extract.config import ExtractConfig
from huse.extract.engines.job import FillJob, Shard
from huse.extract.extract import extract_features
from huse.extract.manifest.rows import read_manifest
from huse.extract.run_encoders import Choice
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import ExtraError, ManifestError
from huse.features.store import Store

CONFIG = ExtractConfig(shard_size=2, dtype="float32", class_encoder="none")


class Length:
    spec = EncoderSpec("length", "text", 2, "none", "0")

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        return np.array([[len(text), ord(text[0])] for text in texts], np.float32)


def test_a_changed_frame_costs_the_new_and_changed_rows(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"key": [1, 2, 3], "text": ["a", "bb", "ccc"]})
    assert extract_features(frame, tmp_path / "s", CONFIG, text_encoder=Length()).encoded == 3
    assert extract_features(frame, tmp_path / "s", CONFIG, text_encoder=Length()).reused == 3
    frame.loc[1, "text"] = "dddd"
    grown = pandas.concat([frame, pandas.DataFrame({"key": [4], "text": ["e"]})])
    summary = extract_features(grown, tmp_path / "s", CONFIG, text_encoder=Length())
    assert (summary.rows, summary.encoded, summary.reused) == (4, 2, 2)
    rows = Store.open(tmp_path / "s").load()
    assert {key: int(vector[0]) for key, vector in zip(rows.key, rows.text.vectors, strict=True)} == {
        "1": 1, "2": 4, "3": 3, "4": 1,
    }  # fmt: skip


def test_a_frame_that_cannot_be_right_touches_nothing(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="<DataFrame>: has no rows"):
        extract_features(pandas.DataFrame({"text": []}), tmp_path / "s", CONFIG, text_encoder=Length())
    assert not (tmp_path / "s").exists()


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(huse.HuseError, match="a list is no manifest; name a file, or make it a data frame"):
        extract_features([{"text": "a"}], tmp_path / "s", CONFIG, text_encoder=Length())  # type: ignore[arg-type]


def test_without_arrow_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pandas.DataFrame({"text": ["a"]})
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ExtraError, match=r"a DataFrame needs pyarrow: pip install 'huse\[parquet\]'"):
        extract_features(frame, tmp_path / "s", CONFIG, text_encoder=Length())


def test_rows_of_a_frame_travel_with_their_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers have neither the frame nor the working folder."""
    monkeypatch.chdir(tmp_path)
    manifest = read_manifest(pyarrow.table({"text": ["a", "bb"], "image": [b"one", None]}))
    shard = pickle.loads(pickle.dumps(Shard.of(manifest, 0, np.arange(2), "")))
    assert [row.text for row in shard.rows] == ["a", "bb"]
    assert list(shard.images.values()) == [b"one"]
    job = FillJob.of(tmp_path / "s", manifest, CONFIG, Choice(text=Length()), None, None)  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(job.manifest))["folder"] == tmp_path
