"""Whether one method is ahead of another on the same test queries: a paired bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
BLOCK = 100
"""Samples drawn at a time, for memory."""


@dataclass(frozen=True)
class Difference:
    """How far a figure of one method lies above that of another.

    Attributes:
        mean: over the queries.
        low: 2.5 % of the resampled means lie below.
        high: 2.5 % of the resampled means lie above.
    """

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """``ahead`` or ``behind`` where the interval leaves out 0, else ``level``."""
        return "ahead" if self.low > 0 else "behind" if self.high < 0 else "level"


def paired_bootstrap(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], draws: int = DRAWS, seed: int = 0
) -> Difference:
    """Resamples the queries with replacement, the same ones for both (Efron and Tibshirani 1993, chapter 16).

    Args:
        ours: (q,) what each query adds to the figure of one method; nan where it does not count.
        theirs: (q,) of the other method, for the same queries.
        draws: samples.
        seed: of the samples.
    """
    gain = ours - theirs
    gain = gain[~np.isnan(gain)]
    if not len(gain):
        return Difference(np.nan, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    means = [
        gain[rng.integers(0, len(gain), (min(BLOCK, draws - start), len(gain)))].mean(axis=1)
        for start in range(0, draws, BLOCK)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return Difference(float(gain.mean()), float(low), float(high))
