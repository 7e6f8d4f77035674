"""What one machine measures in an hour, and docs/performance.md: `python -m benchmarks.all [--quick] [--only NAME]`.

Each runs as a process of its own, one after the other. What they measured is kept in build/bench/results.json, or
quick.json; by `--only` some run again and the others' figures stay. `--page-only` makes the page of what is there.
One that fails is told in the page, and by exit status 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from benchmarks.page import page

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "build" / "bench"

PATIENCE = 1800
"""Seconds after which a benchmark counts as failed."""

PACKAGES = (
    *("numpy", "tensorflow", "keras", "h5py", "scikit-learn", "Pillow", "torch", "openvino", "onnxruntime"),
    *("faiss-cpu", "usearch", "pyarrow", "zarr"),
)


@dataclass(frozen=True)
class Benchmark:
    """One module of this package.

    Attributes:
        title: its heading in the page.
        module: its name in this package.
        about: what its figures are, in a sentence or two.
        arguments: of a full run.
        quick: of a quick one.
        limits: figures (a second) that have a limit: their name, what one of them costs, as a number or the name of
            the figure that says it, and the figure of `benchmarks.machine` that says how much a second there is.
    """

    title: str
    module: str
    about: str
    arguments: str = ""
    quick: str = ""
    limits: tuple[tuple[str, str | float, str], ...] = ()

    def command(self, quick: bool) -> list[str]:
        """What runs it."""
        return ["python", "-m", f"benchmarks.{self.module}", *(self.quick if quick else self.arguments).split()]


MACHINE = Benchmark("The machine", "machine", "")

ALL = (
    Benchmark(
        "Images beside other libraries",
        "vgg16",
        "VGG16 from JPEGs to vectors, images a second, each contestant in a process of its own; `ratio` is the rate of "
        "huse over that of the fastest other at equal precision. Multiplications are counted as the layers are "
        "written; Winograd's algorithm takes fewer, so its share may pass 1.",
        "--images 128 --rounds 3",
        "--images 32 --rounds 1",
        tuple((f"huse_{p}_per_s", "gflop_an_image", f"matmul_{p}_gflops") for p in ("float32", "bfloat16")),
    ),
    Benchmark(
        "Images beside the encoder alone",
        "extract",
        "Stage 1 from files to store over its own encoder on pixels in memory, and over each of its two ways of "
        "convolution (`ratio_fastest`).",
        "--images 96 --rounds 3 --no-memory",
        "--images 32 --rounds 1 --no-memory",
    ),
    Benchmark(
        "Texts",
        "texts",
        "Texts a second: stage 1 with `use`, its network as a SavedModel in a script, and a model in the shape of "
        "MiniLM with random weights, by ONNX Runtime and as an encoder of huse.",
        "",
        "--texts 1920 --rounds 2",
    ),
    Benchmark(
        "The cache",
        "cache",
        "Features by huse and in other formats: written, read in order, read in random batches, and what each does on "
        "a flipped bit and on a kill in the middle of writing.",
        "",
        "--rows 20000 --rounds 1 --flips 10 --kills 1",
        (("huse_write_mb_s", 0.001, "write_gb_s"), ("huse_read_mb_s", 0.002, "copy_gb_s")),
    ),
    Benchmark(
        "Training",
        "fit",
        "Training steps a second of stage 2 beside Keras `Model.fit` and PyTorch (eager, and compiled where a run has "
        "it), and their share of the machine's matrix products.",
        "",
        "--rounds 2 --no-compile",
    ),
    Benchmark(
        "The model at work",
        "embed",
        "`huse embed` from shards to shards beside the towers' bare forward pass, rows a second.",
        "--rows 100000 --rounds 3",
        "--rows 20000 --rounds 1",
        (("huse_rows_per_s", "gflop_a_row", "matmul_float32_gflops"),),
    ),
    Benchmark(
        "Search",
        "search",
        "Seconds for all queries together, and of one (`_one`), over unit vectors of 512 dimensions, "
        "beside scikit-learn, FAISS and usearch.",
        "--intrinsic 32",
        "--rows 50000 --intrinsic 32 --rounds 1",
    ),
    Benchmark(
        "Small shards",
        "shards",
        "Milliseconds a shard of ten rows.",
        "--shards 1000",
        "--shards 100",
    ),
    Benchmark(
        "Exact metrics",
        "metrics",
        "Seconds of the exact retrieval metrics beside the bare products; one run.",
        "--rows 20000",
        "--rows 5000",
    ),
    Benchmark(
        "The command line",
        "startup",
        "Seconds from the shell to the end, beside a bare interpreter.",
        "",
        "--rounds 5",
    ),
)


def measured(benchmark: Benchmark, quick: bool) -> dict[str, Any]:
    """The report of one run."""
    command = benchmark.command(quick)
    click.echo(f"{benchmark.title}: {' '.join(command)}", err=True)
    began = time.perf_counter()
    try:
        outcome = _figures([sys.executable, *command[1:], "--json"])
    except (subprocess.SubprocessError, ValueError) as error:
        outcome = {"error": _reason(error)}
        click.echo(f"failed: {outcome['error']}", err=True)
    return {
        "title": benchmark.title,
        "module": benchmark.module,
        "about": benchmark.about,
        "command": " ".join(command),
        "seconds": time.perf_counter() - began,
        "limits": benchmark.limits,
        **outcome,
    }


def _figures(command: list[str]) -> dict[str, Any]:
    """What a benchmark prints as one JSON object, in the last line."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE)
    figures = json.loads((done.stdout.splitlines() or [""])[-1])
    if not isinstance(figures, dict):
        raise ValueError("it printed no JSON object")
    return {"figures": figures}


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        return f"exit status {error.returncode}: {(lines or ['nothing told'])[-1]}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"not done after {PATIENCE} s"
    return str(error)


def installed(names: Iterable[str]) -> dict[str, str]:
    """Versions of those packages that are there, and that others are not."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def run_all(quick: bool, only: tuple[str, ...], before: dict[str, Any]) -> dict[str, Any]:
    """Runs all, or some of them beside what an earlier run says of the others."""
    known = {report["module"]: report for report in before.get("reports", [])}
    machine = measured(MACHINE, quick)
    reports = []
    for benchmark in ALL:
        kept = known.get(benchmark.module) if only and benchmark.module not in only else None
        if kept or not only or benchmark.module in only:
            reports.append(kept or measured(benchmark, quick))
    reports = ([machine] if "error" in machine else []) + reports
    run = {"quick": quick, "began": time.strftime("%Y-%m-%d", time.gmtime()), "machine": machine.get("figures", {})}
    return run | {"versions": installed(PACKAGES), "reports": reports}


@click.command()
@click.option("--quick", is_flag=True, help="Small sizes: minutes, and rough figures.")
@click.option("--only", multiple=True, type=click.Choice([b.module for b in ALL]), help="Run these alone again.")
@click.option("--page-only", is_flag=True, help="Make the page of what was measured before.")
@click.option("--out", default=PAGE, show_default="docs/performance.md", type=click.Path(path_type=Path))
def main(quick: bool, only: tuple[str, ...], page_only: bool, out: Path) -> None:
    """Runs the benchmarks and writes the page."""
    results = RESULTS / ("quick.json" if quick else "results.json")
    run = json.loads(results.read_text(encoding="utf-8")) if results.exists() and (only or page_only) else {}
    if not page_only:
        run = run_all(quick, only, run)
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(run, indent=1), encoding="utf-8")
    out.write_text(page({"quick": quick, "began": "", "reports": []} | run), encoding="utf-8")
    sys.exit(any("error" in report for report in run.get("reports", [])))


if __name__ == "__main__":
    main()
