"""The command line, in this process by click's runner, or as a user's process."""

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
    result = huse(*arguments)
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", "no notices, warnings or bars when not on a terminal"
    return result.stdout


def ok_json(*arguments: object) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(ok(*arguments, "--json"))
    return value
