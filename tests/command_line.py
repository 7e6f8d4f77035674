"""The command line, in this process by click's runner, or as a user's process where that is what matters."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from huse.cli import main

BIN = Path(sys.executable).parent / "huse"

UNAVOIDABLE = ("before absl::InitializeLog()", "Compiled cluster using XLA!") if version("tensorflow") < "2.21" else ()
"""What TensorFlow 2.20 prints when it compiles, whatever its log level."""


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def huse(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN, *map(str, arguments)], capture_output=True, text=True, check=False)


def ok(*arguments: object) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return _of_quiet(result)


def ok_json(*arguments: object) -> dict[str, Any]:
    return _parsed(ok(*arguments, "--json"))


IN_TURN = """
import json, sys
from huse.cli import main
for words in json.loads(sys.argv[1]):
    main(words, standalone_mode=False)
    print("\\f", flush=True)
"""


def process_ok_in_turn(*commands: Sequence[object]) -> list[str]:
    """As `ok`, for several commands in a process of their own: what native code prints counts too; what each prints."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    result = subprocess.run([sys.executable, "-c", IN_TURN, words], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return _of_quiet(result).split("\f\n")[:-1]


def _of_quiet(result: Result | subprocess.CompletedProcess[str]) -> str:
    told = [line for line in result.stderr.splitlines() if not any(notice in line for notice in UNAVOIDABLE)]
    assert told == [], "no notices, warnings or bars when not on a terminal"
    return result.stdout


def _parsed(printed: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(printed)
    return value
