"""The examples that run on clusters, as far as a machine without one can tell."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from huse.cli import main

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SLURM = EXAMPLES / "slurm.sh"


def parsed(words: list[str], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `huse` makes of the words of a command, run by nobody."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert words[0] == "huse"
    root = main.make_context("huse", list(words[1:]), resilient_parsing=True)
    name, command, rest = main.resolve_command(root, list(words[1:]))
    assert command is not None
    return command.make_context(name, rest, parent=root).params


def tasks(*arguments: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A task whose `huse` writes down how it was called."""
    (tmp_path / "huse").write_text('#!/bin/sh\nprintf "%s\\n" huse "$@"\n')
    (tmp_path / "huse").chmod(0o755)
    path = os.pathsep.join((str(tmp_path), os.environ["PATH"]))
    command = ["bash", str(SLURM), *arguments]
    return subprocess.run(command, env={"PATH": path, **environment}, capture_output=True, text=True, check=False)


def test_slurms_script_is_a_script() -> None:
    assert subprocess.run(["bash", "-n", str(SLURM)], check=False).returncode == 0
    assert os.access(SLURM, os.X_OK)
    directives = [line for line in SLURM.read_text().splitlines() if line.startswith("#SBATCH")]
    assert all(line.startswith("#SBATCH --") for line in directives)
    assert "#SBATCH --array=1-8" in directives


@pytest.mark.parametrize(("again", "part"), [((), (3, 8)), (("8",), (3, 8))])
def test_a_task_of_slurm_fills_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: tuple[str, ...], part: tuple[int, int]
) -> None:
    array = {"ID": "3", "MIN": "1", "MAX": "8", "COUNT": "8"}
    environment = {f"SLURM_ARRAY_TASK_{name}": value for name, value in array.items()}
    done = tasks("m.csv", "features", *again, tmp_path=tmp_path, SLURM_CPUS_PER_TASK="8", **environment)
    options = parsed(done.stdout.splitlines(), environment, monkeypatch)
    assert (options["part"], options["workers"]) == (part, 16)
    assert (str(options["manifest"]), str(options["store"])) == ("m.csv", "features")


def test_slurms_script_tells_how_it_is_used(tmp_path: Path) -> None:
    assert tasks("m.csv", tmp_path=tmp_path).returncode == 2


def test_pods_fill_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    job = yaml.safe_load((EXAMPLES / "kubernetes.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    container = spec["template"]["spec"]["containers"][0]
    assert all(isinstance(word, str) for word in container["command"])
    parts = []
    for index in range(spec["completions"]):
        options = parsed(container["command"], {"JOB_COMPLETION_INDEX": str(index)}, monkeypatch)
        parts.append(options["part"])
    assert parts == [(i + 1, spec["completions"]) for i in range(spec["completions"])]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["template"]["spec"]["volumes"]}
