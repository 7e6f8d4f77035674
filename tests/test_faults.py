"""A few faults of each kind; the whole campaign is `python -m tests.faults`, its outcome docs/reliability.md."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from faults.__main__ import BEGIN, END, PAGE
from faults.count import Count
from faults.workshop import Scenario, Workshop, in_child

from huse.features.errors import StoreError


@pytest.mark.slow
def test_a_few_faults_lose_nothing_and_nothing_wrong_passes() -> None:
    command = [sys.executable, "-m", "tests.faults", "--tries", "2", "--only", "extract", "import", "export"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert len(re.findall("tries, 0 lost, 0 wrong", done.stdout)) == 8


def scenario(broken: str) -> Scenario:
    """A command that writes a file in two steps, and a reader that may take half of it for whole."""

    def run() -> None:
        if broken == "refuses" and Path("out").exists():
            raise StoreError("is there already")
        np.save("half.npy", np.arange(3))
        Path("out").write_text("whole")

    def content() -> str:
        if broken == "trusts" and Path("half.npy").exists():
            return Path("out").read_text() if Path("out").exists() else "half"
        if not Path("out").exists():
            raise StoreError("not there")
        return Path("out").read_text()

    return Scenario("test", lambda: Path("input").write_text("x") and None, run, content)


@pytest.mark.parametrize(
    ("broken", "left", "expected"),
    [
        ("", {"half.npy": b""}, (0, 0)),
        ("trusts", {"half.npy": b""}, (0, 1)),
        ("refuses", {"out": b"torn"}, (1, 1)),
        ("", {".x.tmp": b""}, (1, 0)),
    ],
)
def test_the_campaign_sees_what_is_lost_and_what_is_wrong(
    broken: str, left: dict[str, bytes], expected: tuple[int, int], tmp_path: Path
) -> None:
    shop, count = Workshop(scenario(broken), tmp_path), Count("test")
    folder = shop.fresh()
    for name, data in left.items():
        (folder / name).write_bytes(data)
    shop.judge(folder, count, "test")
    assert (count.lost, count.wrong) == expected, count.told


def test_a_child_that_dies_or_fills_its_disk_is_told(tmp_path: Path) -> None:
    def full() -> None:
        (tmp_path / "full").write_bytes(bytes(2000))

    assert isinstance(in_child(lambda: 1 / 0), RuntimeError)
    assert isinstance(in_child(full, most_bytes=100), OSError)
    assert in_child(lambda: "whole") == "whole"


def test_the_page_has_a_campaign_without_losses() -> None:
    figures = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    rows = [line.split("|")[1:-1] for line in figures.strip().splitlines()[2:]]
    counts = [[int(cell) for cell in row[1:4]] for row in rows]
    assert counts[-1][0] == sum(count[0] for count in counts[:-1])
    assert sum(count[0] for row, count in zip(rows, counts, strict=True) if "SIGKILL" in row[0]) >= 200
    assert counts[-1][1:] == [0, 0]
