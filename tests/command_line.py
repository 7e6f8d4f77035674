"""The command line, in this process by click's runner, or as a user's process where that is what matters."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from huse.cli import main

BIN = Path(sys.executable).parent / "huse"


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


def process_ok(*arguments: object) -> str:
    """As `ok`, in a process: what native code prints counts too."""
    result = huse(*arguments)
    assert result.returncode == 0, result.stderr
    return _of_quiet(result)


def process_ok_json(*arguments: object) -> dict[str, Any]:
    return _parsed(process_ok(*arguments, "--json"))


def _of_quiet(result: Result | subprocess.CompletedProcess[str]) -> str:
    assert result.stderr == "", "no notices, warnings or bars when not on a terminal"
    return result.stdout


def _parsed(printed: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(printed)
    return value
