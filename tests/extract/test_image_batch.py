"""Groups of images become batches, in order and none twice."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from huse.extract.image_batch import ImageBatch


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 7))
def test_batches_are_the_groups_one_after_the_other(groups: list[int], size: int) -> None:
    batch, numbers, seen = ImageBatch(size), iter(range(1, 200)), list[int]()
    for count in groups:
        positions = [next(numbers) for _ in range(count)]
        pixels = np.array(positions, np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 3), np.uint8)
        done = 0
        while done < count:
            done += batch.add(positions[done:], pixels[done:])
            if batch.is_full:
                found = taken(batch, size)
                assert len(found) == size
                seen += found
    seen += taken(batch, size)
    assert seen == list(range(1, sum(groups) + 1))


def taken(batch: ImageBatch, size: int) -> list[int]:
    positions, pixels = batch.take()
    if positions:
        assert pixels.shape == (size, 2, 3, 3)
        assert (pixels == np.array(positions + [0] * (size - len(positions)))[:, None, None, None]).all()
    assert not batch.is_full
    return positions
