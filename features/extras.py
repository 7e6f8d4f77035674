"""Optional packages: imported when they are needed, and named when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from huse.features.errors import ExtraError


def require(module: str, extra: str, purpose: str) -> Any:
    """The imported module of an optional package.

    Args:
        module: what to import.
        extra: the extra of huse that brings it.
        purpose: what needs it, for the message.

    Raises:
        ExtraError: the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ExtraError(f"{purpose} needs {error.name}: pip install 'huse[{extra}]'") from error
