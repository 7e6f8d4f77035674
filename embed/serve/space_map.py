"""The map of the rows that are served, drawn once and beforehand, in a thread that no search waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Any

import numpy as np

from huse.embed.draw.map_page import map_data
from huse.embed.draw.projection import Points, lay_out
from huse.features.counted import counted
from huse.features.errors import HuseError
from huse.features.rows import Rows, concatenate

MOST_ON_MAP = 2_000
"""Rows that the map shows, drawn at random when there are more."""


class SpaceMap:
    """Points of the space in two dimensions.

    Args:
        shards: the rows.
        draw: lays rows out, see `lay_out`.

    Attributes:
        data: what `map_data` makes of them; None until it is drawn.
        problem: why it cannot be drawn; empty when it can, or nobody has tried.
    """

    def __init__(self, shards: Sequence[Rows], draw: Callable[[Rows], Points] = lay_out) -> None:
        self._shards = shards
        self._lay_out = draw
        self._once = Lock()
        self._thread: Thread | None = None
        self.data: dict[str, Any] | None = None
        self.problem = ""
        self._began: float | None = None

    @property
    def progress(self) -> str:
        """What is being done for it, until it is drawn; a projection does not tell how far it is."""
        if self._began is None:
            return "the map is drawn as soon as the encoders are built"
        there = sum(map(len, self._shards))
        shown = f"{MOST_ON_MAP:,} of {there:,} rows" if there > MOST_ON_MAP else counted(there, "row")
        return f"the map of {shown} is being drawn, for {time.monotonic() - self._began:.0f} s so far"

    def start(self) -> None:
        """Begins to draw in the background; does nothing the second time."""
        with self._once:
            if self._thread is None:
                self._thread = Thread(target=self._draw, name="huse-map", daemon=True)
                self._thread.start()

    def _draw(self) -> None:
        self._began = time.monotonic()
        try:
            rows = _some(self._shards, MOST_ON_MAP).decoded()
            self.data = map_data(rows, self._lay_out(rows))
        except HuseError as error:
            self.problem = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a projection raises costs the map, and not the server
            self.problem = f"the map cannot be drawn ({type(error).__name__}: {error})"


def _some(shards: Sequence[Rows], most: int) -> Rows:
    """At most so many rows of all, in their order."""
    ends = np.cumsum([0, *map(len, shards)])
    chosen = np.arange(ends[-1])
    if len(chosen) > most:
        chosen = np.sort(np.random.default_rng(0).choice(len(chosen), most, replace=False))
    parts = zip(shards, ends[:-1], ends[1:], strict=True)
    return concatenate([rows.take(chosen[(chosen >= low) & (chosen < high)] - low) for rows, low, high in parts])
