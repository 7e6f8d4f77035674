"""What every benchmark prints, and the peak of memory that some measure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def show(result: Mapping[str, Any], as_json: bool) -> None:
    """Prints figures as a table, or as one JSON object."""
    if as_json:
        print(json.dumps(result))
        return
    width = max(map(len, result))
    for name, value in result.items():
        print(f"{name:<{width}} {value:14,.3f}" if isinstance(value, float) else f"{name:<{width}} {value!s:>14}")


def peak_mib() -> float:
    """MiB at the peak of this process (Linux); what `resource` tells would count the parent's, before exec."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
