"""How long `huse --help` takes beside a bare interpreter: `python -m benchmarks.startup [--rounds 15] [--json]`.

`ratio_help` is the median of `huse --help` over that of `python -c pass`, in interleaved runs, so that what else the
machine does weighs on both. `ratio_import` is that of `import huse`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

import click

from benchmarks.figures import show

COMMANDS = {
    "bare": ["-c", "pass"],
    "import": ["-c", "import huse"],
    "help": ["-c", "from huse.cli import main; main(['--help'])"],
}
"""What the interpreter is started with."""


def seconds(arguments: list[str]) -> float:
    """Of one start to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def measure(rounds: int) -> dict[str, Any]:
    """Medians in seconds, and their ratios to the bare interpreter's."""
    for arguments in COMMANDS.values():  # compiles what was not, and warms the disk's cache
        seconds(arguments)
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            taken[name].append(seconds(arguments))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    ratios = {f"ratio_{name}": medians[name] / medians["bare"] for name in ("import", "help")}
    return {"rounds": rounds, **medians, **ratios}


@click.command()
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True)
def main(rounds: int, as_json: bool) -> None:
    """Prints the figures."""
    show(measure(rounds), as_json)


if __name__ == "__main__":
    main()
