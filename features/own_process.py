"""Modules of huse run as processes of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def module_command(module: str) -> tuple[list[str], dict[str, str]]:
    """What starts a module in Python as it is here, and its environment: it finds all that can be imported here.

    But nothing of the working folder, which may be a stranger's: a struct.py in it is not Python's.
    """
    found = [path or str(Path.cwd()) for path in sys.path if isinstance(path, str)]
    return [sys.executable, "-P", "-m", module], os.environ | {"PYTHONPATH": os.pathsep.join(found)}
