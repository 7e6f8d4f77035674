"""The pixels that wait for the image encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class ImageBatch:
    """Images of one shard, until there are enough of them; then the same memory takes the next, since new is slow.

    Args:
        size: images a batch.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._positions: list[int] = []
        self._pixels = np.empty((0, 0, 0, 3), np.uint8)

    @property
    def is_full(self) -> bool:
        """Whether no more fits in."""
        return len(self._positions) == self._size

    def add(self, positions: Sequence[int], pixels: NDArray[np.uint8]) -> int:
        """Takes images in as long as there is room, and returns how many.

        Args:
            positions: in their shard.
            pixels: (n, height, width, 3) theirs.
        """
        if len(self._pixels) == 0:
            self._pixels = np.zeros((self._size, *pixels.shape[1:]), np.uint8)
        at = len(self._positions)
        count = min(len(positions), self._size - at)
        self._pixels[at : at + count] = pixels[:count]
        self._positions += positions[:count]
        return count

    def take(self) -> tuple[list[int], NDArray[np.uint8]]:
        """Takes all out: their positions, and (size, height, width, 3) pixels, which hold until others are added.

        Where images are missing there are zeros: one static shape, or a network would be compiled a second time.
        """
        positions, self._positions = self._positions, []
        self._pixels[len(positions) :] = 0
        return positions, self._pixels
