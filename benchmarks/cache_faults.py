"""What formats do on a flipped bit and on a kill in the middle of writing: really flipped, and really killed.

    python -m benchmarks.cache_faults write FORMAT FOLDER ROWS PART           writes, and tells of each part
    python -m benchmarks.cache_faults flip FORMAT FOLDER ROWS PART FROM TO    flips bits FROM to TO, one at a time

benchmarks.cache runs these in processes of their own, which may die.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.cache_formats import FORMATS
from benchmarks.cache_parts import Part, Plan, make_part

FAULTS = Plan(rows=2000, part=200)
"""A store small enough to be read once a bit."""

KILLED = Plan(rows=200_000, part=1000)
"""More than is written before the kill."""


def flip_bits(name: str, folder: Path, count: int) -> Counter[str]:
    """How often a flipped bit of the data is ``detected``, ``silent`` (wrong rows), ``harmless`` or a ``crash``."""
    FORMATS[name].write(folder, _same_parts(FAULTS), FAULTS)
    outcomes: list[str] = []
    while len(outcomes) < count:
        child = _run("flip", name, folder, FAULTS, str(len(outcomes)), str(count))
        said = child.communicate()[0].split()
        outcomes += said
        if child.returncode:
            outcomes.append("crash")
            FORMATS[name].write(_emptied(folder), _same_parts(FAULTS), FAULTS)
    return Counter(outcomes[:count])


@dataclass(frozen=True)
class Killed:
    """What a kill left: rows handed over to be written, those that are read and right, and those read and wrong."""

    handed: int
    right: int
    wrong: int
    refused: bool


def kill_writer(name: str, folder: Path, after: int, seconds: float) -> Killed:
    """Kills a process so many seconds after it has handed over a number of parts; then reads what is there."""
    child = _run("write", name, folder, KILLED)
    assert child.stdout is not None  # noqa: S101
    handed = 0
    for line in child.stdout:
        handed = int(line)
        if handed >= after:
            break
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    rest = child.communicate()[0].split()
    handed = int(rest[-1]) if rest else handed
    right, wrong, refused = _compare(name, folder, KILLED)
    return Killed(handed * KILLED.part, min(right, handed * KILLED.part), wrong, refused)


def _compare(name: str, folder: Path, plan: Plan) -> tuple[int, int, bool]:
    """Rows that are read and right, that are read and wrong, and whether reading ended in an error."""
    right, wrong, expected = 0, 0, make_part(0, plan.part)
    try:
        for image, text in _parts_of(name, folder, plan.part):
            same = (image == expected[0][: len(image)]).all(axis=1) & (text == expected[1][: len(text)]).all(axis=1)
            right, wrong = right + int(same.sum()), wrong + int((~same).sum())
    except Exception:  # noqa: BLE001 - each format has errors of its own
        return right, wrong, True
    return right, wrong, False


def _parts_of(name: str, folder: Path, size: int) -> Iterator[Part]:
    """What a format reads, in parts of a size."""
    left: Part | None = None
    for part in FORMATS[name].read(folder):
        image, text = part if left is None else (np.concatenate(pair) for pair in zip(left, part, strict=True))
        while len(image) >= size:
            yield image[:size], text[:size]
            image, text = image[size:], text[size:]
        left = (image, text)
    if left is not None and len(left[0]):
        yield left


def _run(what: str, name: str, folder: Path, plan: Plan, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.cache_faults", what, name, str(folder), str(plan.rows), str(plan.part)]
    return subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _emptied(folder: Path) -> Path:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    return folder


def _same_parts(plan: Plan, tell: Callable[[int], None] = lambda _: None) -> Iterator[Part]:
    """One part again and again, as random numbers take longer than the disk; each is told when it is handed over."""
    made = make_part(0, plan.part)
    for number in range(plan.rows // plan.part):
        tell(number)
        yield made


def _flip(name: str, folder: Path, plan: Plan, number: int) -> str:
    """Flips one bit, reads all, and flips it back."""
    rng = random.Random(number)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    file = rng.choices(files, [path.stat().st_size for path in files])[0]
    before = file.read_bytes()
    at = rng.randrange(len(before))
    file.write_bytes(before[:at] + bytes([before[at] ^ (1 << rng.randrange(8))]) + before[at + 1 :])
    right, wrong, refused = _compare(name, folder, plan)
    file.write_bytes(before)
    return "detected" if refused else "harmless" if right == plan.rows and not wrong else "silent"


def main(what: str, name: str, folder: str, rows: str, part: str, *more: str) -> None:
    """One of the two that are run in processes of their own."""
    plan = Plan(int(rows), int(part))
    if what == "write":
        FORMATS[name].write(Path(folder), _same_parts(plan, partial(print, flush=True)), plan)
        return
    for number in range(*map(int, more)):
        print(_flip(name, Path(folder), plan, number), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
