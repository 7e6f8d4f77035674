"""Our shards beside other ways to keep features: `python -m benchmarks.cache [--rows 100000] [--flips 100] [--json]`.

Rows of 1,024 + 512 values in float16, in parts of 10,000, by huse, h5py (resizable datasets that are appended to),
.npy, Parquet, zarr 3 and TFRecord, see cache_formats.py. Of each, medians of interleaved rounds:

- write_mb_s: MB of vectors a second to the disk, synced;
- read_mb_s: all of them in order, from what the operating system keeps in memory; huse checks every digest meanwhile;
- batches_s: random batches of 512 rows a second (of huse after the columns were checked once);
- bytes_ratio: bytes on disk over those of the vectors.

Then faults, see cache_faults.py: what a flipped bit does (`flips_detected`, `_silent`, `_harmless`, `_crash`), and what
is read after SIGKILL in the middle of writing: of the rows that were handed over until then the share that is there
(`kill_right`), and rows that are read and were never written or are wrong (`kill_wrong`), and in how many of the kills
reading ends in an error (`kill_refused`).
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np

from benchmarks.cache_faults import flip_bits, kill_writer
from benchmarks.cache_formats import FORMATS, Format
from benchmarks.cache_parts import IMAGE, PART, TEXT, Plan, make_parts, size_on_disk
from benchmarks.figures import show

BATCH, BATCHES = 512, 20
OUTCOMES = ("detected", "silent", "harmless", "crash")


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def read_all(form: Format, folder: Path) -> None:
    """Goes through all rows and keeps none."""
    for image, text in form.read(folder):
        image[-1], text[-1]


def round_of(form: Format, folder: Path, parts: list[Any], plan: Plan) -> dict[str, float]:
    """One round of a format: everything that is timed."""
    shutil.rmtree(folder, ignore_errors=True)
    megabytes = plan.rows * (IMAGE + TEXT) * 2 / 1e6
    figures = {
        "write_mb_s": megabytes / seconds(lambda: form.write(folder, parts, plan)),
        "read_mb_s": megabytes / seconds(lambda: read_all(form, folder)),
        "bytes_ratio": size_on_disk(folder) / megabytes / 1e6,
    }
    batch = form.batch(folder)
    if batch is not None:
        rng = np.random.default_rng(0)
        drawn = [rng.choice(plan.rows, BATCH, replace=False) for _ in range(BATCHES + 1)]
        batch(drawn.pop())  # of huse: checks what the others take
        figures["batches_s"] = BATCHES / seconds(lambda: [batch(numbers) for numbers in drawn])
    return figures


def measure_speed(names: list[str], plan: Plan, rounds: int) -> dict[str, float]:
    """The timed figures of all formats."""
    parts, found = list(make_parts(plan)), defaultdict[str, list[float]](list)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name in names:
                for figure, value in round_of(FORMATS[name], Path(folder) / name, parts, plan).items():
                    found[f"{name}_{figure}"].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def measure_faults(name: str, flips: int, kills: int) -> dict[str, float]:
    """What flipped bits and kills do to a format."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        if flips:
            outcomes = flip_bits(name, Path(folder) / "flips", flips)
            figures |= {f"{name}_flips_{outcome}": outcomes[outcome] for outcome in OUTCOMES}
        killed = [kill_writer(name, Path(folder) / f"kill-{i}", 20 + i, 0.01 * i) for i in range(kills)]
    if killed:
        figures[f"{name}_kill_right"] = sum(k.right for k in killed) / sum(k.handed for k in killed)
        figures[f"{name}_kill_wrong"] = sum(k.wrong for k in killed)
        figures[f"{name}_kill_refused"] = sum(k.refused for k in killed)
    return figures


@click.command()
@click.option("--rows", default=100_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--flips", default=100, show_default=True, help="Bits to flip in each format.")
@click.option("--kills", default=5, show_default=True, help="Writers to kill of each format.")
@click.option("--format", "names", multiple=True, type=click.Choice(list(FORMATS)), help="Only this; may be repeated.")
@click.option("--json", "as_json", is_flag=True)
def main(rows: int, rounds: int, flips: int, kills: int, names: tuple[str, ...], as_json: bool) -> None:
    """Prints the figures."""
    chosen, plan = list(names or FORMATS), Plan(rows, min(PART, rows))
    result: dict[str, Any] = {"rows": rows, "flips": flips, "kills": kills}
    result |= measure_speed(chosen, plan, rounds) if rounds else {}
    for name in chosen:
        result |= measure_faults(name, flips, kills)
    show(result, as_json)


if __name__ == "__main__":
    main()
