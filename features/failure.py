"""What went wrong with a row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """A row that lost a modality: its key, the stage that refused it and why."""

    key: str
    stage: str
    reason: str
