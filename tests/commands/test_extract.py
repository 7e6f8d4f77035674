"""`huse extract`: what it asks, shows and refuses."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from command_line import BIN, invoke, ok_json
from package import install_encoder
from samples import read_csv, text_manifest, write_csv

from huse.cli import main
from huse.features.store import Store


def test_failing_runs_still_name_the_rows(tmp_path: Path) -> None:
    manifest = write_csv(tmp_path / "m.csv", [{"key": "a", "image": "no.png"}, {"key": "b", "image": "none.png"}])
    result = invoke("extract", manifest, tmp_path / "s")
    assert result.exit_code == 1
    assert "failed: a: No such file" in result.stdout
    assert "all 2 rows failed" in result.stderr


@pytest.mark.parametrize("part", ["0/2", "3/2", "2", "1/0", "a/b", "-1/2", "auto/0", "auto/", "auto/x"])
def test_a_part_that_is_none_is_wrong_usage(tmp_path: Path, part: str) -> None:
    result = invoke("extract", tmp_path / "m.csv", tmp_path / "s", "--part", part)
    assert result.exit_code == 2
    assert "is not I/N with I from 1 to N, such as 1/4" in result.output


def test_a_task_of_an_array_fills_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "extract", text_manifest(tmp_path), tmp_path / "s", "--text-encoder", "tfidf:4", "--shard-size", 2
    words = *words, "--class-encoder", "none"
    alone = invoke(*words, "--part", "auto")
    assert alone.exit_code == 2
    assert "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set" in alone.output
    for name, value in {"ID": "0", "MIN": "0", "MAX": "2", "COUNT": "3"}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    assert invoke(*words, "--part", "auto").exit_code == 0
    assert Store.open(tmp_path / "s").shard_numbers() == [0, 3]
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    assert invoke(*words, "--part", "auto/3").exit_code == 0
    assert Store.open(tmp_path / "s").shard_numbers() == [0, 1, 3]


@pytest.mark.slow
def test_an_interrupt_is_quiet_and_resumable(emoji: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_encoder(tmp_path, monkeypatch)
    manifest = write_csv(emoji.parent / "some.csv", read_csv(emoji)[:64])
    command = [BIN, "extract", manifest, tmp_path / "s", "--shard-size", "10", "--batch-size", "10"]
    command += ["--image-encoder", "mean-color:0.5"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "s" / "shard-00001.h5").exists():
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=120)
    assert process.returncode == 130
    assert printed.strip() == "Interrupted; nothing half-written is left"
    assert not list((tmp_path / "s").glob(".*tmp"))
    done = len(list((tmp_path / "s").glob("shard-*.h5")))
    assert ok_json(*command[1:])["reused"] >= 10 * done


def test_overwriting_asks_first(tmp_path: Path) -> None:
    arguments = ["extract", str(text_manifest(tmp_path)), str(tmp_path / "s"), "--text-encoder", "tfidf:9"]
    assert invoke(*arguments).exit_code == 0
    before = Store.open(tmp_path / "s").info
    other = [*arguments[:-1], "tfidf:8", "--overwrite"]
    refused = CliRunner().invoke(main, other, input="n\n")
    assert refused.exit_code == 1
    assert f"Delete the store {tmp_path / 's'} and all its vectors? [y/N]" in refused.stderr
    assert Store.open(tmp_path / "s").info == before
    assert CliRunner().invoke(main, other).exit_code == 1, "nobody there to answer is a no"
    assert CliRunner().invoke(main, other, input="y\n").exit_code == 0
    assert Store.open(tmp_path / "s").info != before
    assert invoke(*arguments, "--overwrite", "--yes").exit_code == 0
    assert invoke(*arguments[:2], tmp_path / "new", *arguments[3:], "--overwrite").exit_code == 0, "nothing to delete"
