"""The examples that are scripts, run as a person runs them, on small data."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from samples import read_csv, write_csv

import huse

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
QUICK = huse.FitConfig(dimension=32, hidden_units=64, epochs=15, patience=0)


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / name))


@pytest.mark.slow
def test_a_catalog_becomes_a_search_page(tmp_path: Path) -> None:
    script = example("own_catalogue.py")
    few = write_csv(tmp_path / "few.csv", read_csv(script["draw_catalog"](tmp_path))[:15])
    page = TestClient(script["build"](few, tmp_path, QUICK), base_url="http://localhost")
    assert "<html" in page.get("/").text
    reply = page.post("/api/search", json={"text": "round rug", "k": 3}).json()
    assert [hit["label"] for hit in reply["hits"]] == ["home/floor/rugs"] * 3
    assert page.get(reply["hits"][0]["image"]).headers["content-type"].startswith("image/")


@pytest.mark.slow
def test_features_made_elsewhere_become_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--out", str(tmp_path), "--methods", "posterior,huse", "--epochs", "2"]
    monkeypatch.setattr(sys, "argv", ["compare_features.py", *arguments])
    example("compare_features.py")["main"]()
    said = capsys.readouterr().out
    for table in ("Table 1", "Table 2", "Table 3"):
        assert table in said
    assert "| posterior |" in said
    assert "| huse |" in said


def nightly(*arguments: Path | str, programs: Path) -> subprocess.CompletedProcess[str]:
    """A night in which `huse` is the one in the folder `programs`."""
    path = os.pathsep.join((str(programs), os.environ["PATH"]))
    command = ["bash", str(EXAMPLES / "nightly.sh"), *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_night(few_emoji: Path, few_model: Path, tmp_path: Path) -> None:
    texts = [{name: row[name] for name in ("key", "text", "label")} for row in read_csv(few_emoji)[::5]]
    manifest = write_csv(few_emoji.parent / "tonight.csv", texts)
    night = nightly(few_model, manifest, tmp_path, programs=Path(sys.executable).parent)
    assert night.returncode == 0, night.stderr
    assert night.stdout.endswith("done\n")
    keys = huse.Store.open(tmp_path / "embeddings").load().key
    assert list(keys) == [row["key"] for row in read_csv(manifest)]


@pytest.mark.parametrize(
    ("failing", "code", "steps"),
    [
        ("none", 0, ["extract", "store verify F", "store failures", "embed", "store verify E"]),
        ("extract", 1, ["extract"]),
        ("store verify F", 3, ["extract", "store verify F"]),
        ("embed", 1, ["extract", "store verify F", "store failures", "embed"]),
        ("store verify E", 3, ["extract", "store verify F", "store failures", "embed", "store verify E"]),
    ],
)
def test_the_night_ends_with_the_step_that_fails(failing: str, code: int, steps: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    stub = f"""#!/bin/sh
case "$1 $2 $3" in
  *" verify "*features) step="store verify F";; *" verify "*) step="store verify E";;
  "store "*) step="$1 $2";; *) step="$1";;
esac
echo "$step" >> {log}
[ "$step" != "{failing}" ]
"""
    (tmp_path / "huse").write_text(stub)
    (tmp_path / "huse").chmod(0o755)
    assert nightly("model", "products.csv", tmp_path / "out", programs=tmp_path).returncode == code
    assert log.read_text().splitlines() == steps


def test_a_file_of_changes_waits_until_it_is_applied(tmp_path: Path) -> None:
    """`huse` leaves a file of changes; the command fails once, and is given both files in order the next time."""
    (tmp_path / "huse").write_text('#!/bin/sh\n[ "$5" != --changes ] || touch "$6"\n')
    (tmp_path / "apply").write_text(f'#!/bin/sh\necho "$1 $(basename "$2")" >> {tmp_path}/log\n[ -e {tmp_path}/up ]\n')
    for program in ("huse", "apply"):
        (tmp_path / program).chmod(0o755)
    changes = tmp_path / "out" / "changes"
    changes.mkdir(parents=True)
    (changes / "2026-01-01.parquet").touch()
    command = ("model", "products.csv", tmp_path / "out", tmp_path / "apply", "to a database")
    assert nightly(*command, programs=tmp_path).returncode == 4
    assert len(list(changes.iterdir())) == 2
    (tmp_path / "up").touch()
    assert nightly(*command, programs=tmp_path).returncode == 0
    assert not list(changes.iterdir())
    first, again, *last = (tmp_path / "log").read_text().splitlines()
    assert first == again == "to a database 2026-01-01.parquet"
    assert len(last) == 1


def test_the_night_tells_how_it_is_used(tmp_path: Path) -> None:
    assert nightly("model", "products.csv", programs=tmp_path).returncode == 2
