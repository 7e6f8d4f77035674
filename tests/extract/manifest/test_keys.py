"""Rows without key and image are known by their content, wherever they stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from huse.extract.manifest.keys import content_key, equal_groups, key_digests
from huse.extract.manifest.rows import read_manifest


def keys(path: Path, texts: list[str]) -> list[str]:
    path.write_text("text\n" + "".join(f'"{text}"\n' for text in texts))
    return [row.key for row in read_manifest(path).rows()]


def test_a_row_inserted_on_top_changes_no_other_key(tmp_path: Path) -> None:
    before = keys(tmp_path / "m.csv", ["a", "b", "a", "a"])
    assert before == [content_key("a"), content_key("b"), f"{content_key('a')}#2", f"{content_key('a')}#3"]
    after = keys(tmp_path / "m.csv", ["new", "a", "b", "a", "a"])
    assert after == [content_key("new"), *before]
    again = keys(tmp_path / "m.csv", ["a", "new", "a", "b", "a", "a"])
    assert set(again) == {*after, f"{content_key('a')}#4"}


def test_a_key_that_looks_like_content_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f"text,key\na,\nb,{content_key('a')}\n")
    assert [row.key for row in read_manifest(path).rows()] == [f"{content_key('a')}#2", content_key("a")]


@given(st.lists(st.integers(0, 5)))
def test_equal_groups_are_those_of_a_plain_loop(values: list[int]) -> None:
    places: dict[int, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value, []).append(place)
    wanted = [found for found in places.values() if len(found) > 1]
    if values:
        digests = key_digests(map(str, values))
        assert [group.tolist() for group in equal_groups(digests)] == wanted
    else:
        assert list(equal_groups(np.empty(0, "S16"))) == []
