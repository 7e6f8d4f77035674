from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from huse.features.modality import Pair
from huse.train.data.groups import content_groups, content_numbers


def digests(numbers: list[int]) -> np.ndarray:  # type: ignore[type-arg]
    """A digest a row that tells its number; zeros for 0."""
    return np.repeat(np.array(numbers, np.uint8)[:, None], 16, axis=1)


def test_rows_are_grouped_by_way_of_others() -> None:
    image, text = digests([1, 2, 2, 0, 0, 3]), digests([5, 5, 0, 6, 0, 6])
    group = content_groups(Pair(image=image, text=text))
    assert group[0] == group[1] == group[2] != group[3]
    assert group[3] == group[5]
    assert len(set(group)) == 3, "rows that nothing is known about are alone"


def test_equal_content_has_the_number_of_its_first_row() -> None:
    assert content_numbers(digests([7, 3, 0, 7, 0, 3, 7, 9])).tolist() == [0, 1, 2, 0, 4, 1, 0, 7]
    assert content_numbers(digests([])).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25))
def test_groups_are_those_of_a_plain_search(rows: list[tuple[int, int]]) -> None:
    group = content_groups(Pair(image=digests([image for image, _ in rows]), text=digests([text for _, text in rows])))
    for start in range(len(rows)):
        reached, waiting = {start}, [start]
        while waiting:
            at = rows[waiting.pop()]
            for other, row in enumerate(rows):
                if other not in reached and any(a and a == b for a, b in zip(at, row, strict=True)):
                    reached.add(other)
                    waiting.append(other)
        assert set(np.flatnonzero(group == group[start])) == reached


def test_a_long_chain_is_one_group() -> None:
    place = np.random.default_rng(0).permutation(5000).astype(np.uint64)
    image, text = (((place + i) // 2 + 1).view(np.uint8).reshape(-1, 8) for i in (np.uint64(0), np.uint64(1)))
    assert len(set(content_groups(Pair(image=image, text=text)))) == 1
