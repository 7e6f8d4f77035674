"""One thing that is wrong, and what to type about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A fault.

    Attributes:
        where: the file or package.
        what: what is wrong with it, in one line.
        command: what to type; empty when the line says it.
    """

    where: str
    what: str
    command: str = ""
