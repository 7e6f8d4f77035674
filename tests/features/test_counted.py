from __future__ import annotations

import pytest

from huse.features.counted import counted


@pytest.mark.parametrize(
    ("number", "noun", "plural", "told"),
    [
        (0, "row", "", "0 rows"),
        (1, "row", "", "1 row"),
        (2, "row", "", "2 rows"),
        (1, "class", "classes", "1 class"),
        (3, "class", "classes", "3 classes"),
    ],
)
def test_one_is_singular_and_all_else_plural(number: int, noun: str, plural: str, told: str) -> None:
    assert counted(number, noun, plural) == told
