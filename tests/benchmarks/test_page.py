"""The page of benchmarks says what was measured, and what was not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import all as everything
from benchmarks.page import page

MACHINE = {"processor": "A", "matmul_float32_gflops": 300.0}
REPORT: dict[str, Any] = {
    "title": "Images",
    "module": "vgg16",
    "about": "Images a second.",
    "command": "python -m benchmarks.vgg16 --images 3",
    "seconds": 12.3,
    "limits": [["huse_per_s", "gflop", "matmul_float32_gflops"]],
    "figures": {"huse_per_s": 5.0, "gflop": 30.0, "torch_per_s": "not installed: torch", "ratio": None},
}


def run_of(*reports: dict[str, Any], quick: bool = False) -> dict[str, Any]:
    versions = {"numpy": "2.0", "torch": "not installed"}
    return {"quick": quick, "began": "2026-01-02", "machine": MACHINE, "versions": versions, "reports": reports}


def test_a_table_has_its_command_its_figures_and_their_share_of_the_limit() -> None:
    text = page(run_of(REPORT))
    assert "`python -m benchmarks.vgg16 --images 3`, 12 s" in text
    assert "| huse_per_s | 5 | 0.5 |" in text
    assert "| torch_per_s | not installed: torch |  |" in text
    assert "| ratio | - |  |" in text
    assert "numpy 2.0, torch not installed" in text
    assert "Failed" not in text
    assert "quick" not in text


def test_a_quick_run_says_so() -> None:
    text = page(run_of(REPORT, quick=True))
    assert "From a quick run" in text
    assert "`python -m benchmarks.all --quick`" in text


def test_a_failure_stands_at_the_top_and_in_its_place() -> None:
    failed = {key: value for key, value in REPORT.items() if key != "figures"} | {"error": "exit status 1: a | b"}
    text = page(run_of(failed, REPORT | {"title": "Texts"}))
    assert "**Failed**, and told below: Images." in text
    assert "**failed**, exit status 1: a \\| b" in text
    assert "## Texts" in text


def test_what_a_figure_costs_may_be_a_number() -> None:
    assert "| huse_per_s | 5 | 0.01667 |" in page(
        run_of(REPORT | {"limits": [["huse_per_s", 1, "matmul_float32_gflops"]]})
    )


def test_no_limit_without_its_figure() -> None:
    assert "of the limit" not in page(run_of(REPORT | {"figures": {"huse_per_s": "failed: no memory"}}))
    assert "of the limit" not in page(run_of(REPORT) | {"machine": {}})


@pytest.mark.parametrize(
    ("value", "cell"),
    [(1234567.8, "1,235,000"), (0.12345, "0.1235"), (1_000_000, "1,000,000"), (True, "True"), ([1.0, 2], "1, 2")],
)
def test_figures_have_four_digits(value: object, cell: str) -> None:
    assert f"| x | {cell} |" in page(run_of(REPORT | {"limits": [], "figures": {"x": value}}))


def test_figures_within_figures() -> None:
    assert "| npy write | 2 |" in page(run_of(REPORT | {"limits": [], "figures": {"npy": {"write": 2.0}}}))


def test_nothing_measured_says_so() -> None:
    assert "No run is recorded here yet" in page({"quick": False, "began": "", "reports": []})


def test_a_benchmark_that_fails_is_told_and_the_others_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everything, "RESULTS", tmp_path)
    monkeypatch.setattr(everything, "MACHINE", everything.Benchmark("The machine", "nothing_of_that_name", ""))
    startup = everything.Benchmark("Start", "startup", "Seconds.", "--rounds 1")
    monkeypatch.setattr(everything, "ALL", (startup,))
    out = tmp_path / "page.md"
    result = CliRunner().invoke(everything.main, ["--out", str(out)])
    assert result.exit_code == 1
    text = out.read_text(encoding="utf-8")
    assert "told below: The machine." in text
    assert "No module named benchmarks.nothing_of_that_name" in text
    assert "| ratio_help |" in text
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["reports"]
    text = "".join(line for line in text.splitlines(keepends=True))
    assert CliRunner().invoke(everything.main, ["--page-only", "--out", str(out)]).exit_code == 1
    assert out.read_text(encoding="utf-8") == text


def test_every_module_named_is_there() -> None:
    for benchmark in (everything.MACHINE, *everything.ALL):
        assert (everything.ROOT / "benchmarks" / f"{benchmark.module}.py").exists(), benchmark.module
