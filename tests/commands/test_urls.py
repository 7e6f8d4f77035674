"""No command takes a URL for a folder of its name: it is read and written as such, or refused before any work."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import invoke

URL = "s3://bucket/x"
HERE = "here.csv"

COMMANDS = [
    f"extract {URL} store",
    f"extract {HERE} {URL}",
    f"extract {HERE} store --class-text {URL}",
    f"extract {HERE} store --image-weights {URL}",
    f"fit {URL} model",
    f"fit store {URL}",
    f"fit store model --tensorboard {URL}",
    f"evaluate {URL} store",
    f"evaluate model {URL}",
    f"evaluate model store --taxonomy {URL}",
    f"evaluate model store --report {URL}",
    f"embed {URL} store out",
    f"embed model {URL} out",
    f"embed model store {URL}",
    f"embed model store {URL}.parquet",
    f"search {URL} out --text a",
    f"search model {URL} --text a",
    f"search model out --image {URL}",
    f"search model out --text a --images {URL}",
    f"serve {URL} out",
    f"serve model {URL}",
    f"plot {URL} map.png",
    f"plot out {URL}.png",
    f"plot --graph {URL} graph.png",
    f"export savedmodel {URL} saved",
    f"export savedmodel model {URL}",
    f"export onnx model {URL}.onnx",
    f"export projector {URL} logs",
    f"export projector out {URL}",
    f"export card model {URL}",
    f"compare {URL}",
    f"compare store --out {URL}",
    f"doctor {URL}",
    f"demo --out {URL}",
    f"store inspect {URL}",
    f"store verify {URL}",
    f"store failures {URL}",
    f"store leaks {URL}",
    f"store merge {URL} a",
    f"store merge out {URL}",
    f"store split {URL} out",
    f"store split store {URL}",
    f"store export {URL} out",
    f"store export store {URL}.npz",
    f"store import {URL} --text t.npy",
]
LOCAL = [f"fit store model --tensorboard {URL}", f"demo --out {URL}"]


@pytest.mark.parametrize("command", COMMANDS)
def test_without_the_extra_a_url_is_told_with_the_way_out(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "huse.features.files.remote", raising=False)
    monkeypatch.setitem(sys.modules, "upath", None)
    (tmp_path / HERE).write_text("text,label\na,b\n")
    result = invoke(*command.split())
    assert result.exit_code == 1, result.output
    assert result.stderr == "Error: URLs need upath: pip install 'huse[remote]'\n"
    assert [entry.name for entry in tmp_path.iterdir()] == [HERE]


@pytest.mark.parametrize("command", LOCAL)
def test_what_has_to_be_on_this_machine_is_told(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*command.replace(URL, "memory://x").split())
    assert result.exit_code == 2
    assert "'memory://x' is a URL; name a path of this machine" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {*LOCAL}))
def test_what_goes_with_the_process_is_refused(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / HERE).write_text("text,label\na,b\n")
    result = invoke(*command.replace(URL, "memory://x").split())
    assert result.exit_code == 2
    assert "is in the memory of this command, and goes with it; name another place" in result.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == [HERE]


def test_a_cache_of_no_size_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUSE_CACHE_SIZE", "much")
    for command in ("extract s3://bucket/m.csv store", "fit s3://bucket/store model"):
        result = invoke(*command.split())
        assert result.exit_code == 1
        assert result.stderr == "Error: HUSE_CACHE_SIZE is 'much'; name a size such as 20GB or 500MB\n"
    assert not list(tmp_path.iterdir())


def test_a_url_that_lost_a_slash_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / HERE).write_text("text,label\na,b\n")
    result = invoke("extract", HERE, "s3:/bucket/x")
    assert result.exit_code == 1
    assert "s3:/bucket/x: has lost a slash of its ://" in result.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == [HERE]
