from __future__ import annotations

from pathlib import Path

import pytest

from huse.features.errors import FitError
from huse.features.store import Store
from huse.train.classes.taxonomy import ancestors_of_labels, near_classes, read_taxonomy
from huse.train.compare.compare import compare
from huse.train.evaluate import evaluate_model

LABELS = ["food/fruit/apple", "food/fruit/pear", "food/bread", "tools/saw"]


def sets(ancestors: list[list[str]], k: int) -> list[set[int]]:
    return [{j for j, near in enumerate(row) if near} for row in near_classes(ancestors, (k,))[k]]


def test_sets_grow_up_the_tree_until_they_have_k_members() -> None:
    ancestors = ancestors_of_labels(LABELS)
    assert ancestors[0] == ["food/fruit/apple", "food/fruit", "food", ""]
    assert sets(ancestors, 1) == [{0}, {1}, {2}, {3}]
    assert sets(ancestors, 2) == [{0, 1}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3}]
    assert sets(ancestors, 3) == [{0, 1, 2}, {0, 1, 2}, {0, 1, 2}, {0, 1, 2, 3}]
    assert sets(ancestors, 9) == [{0, 1, 2, 3}] * 4


def test_csv_and_json_say_the_same(tmp_path: Path) -> None:
    table, tree = tmp_path / "t.csv", tmp_path / "t.json"
    table.write_text("child,parent\napple,fruit\npear,fruit\nfruit,food\nfood/bread,food\nsaw,tools\n")
    tree.write_text('{"food": {"fruit": ["apple", "pear"], "food/bread": {}}, "tools": "saw"}')
    for k in (2, 3):
        assert sets(read_taxonomy(table, LABELS), k) == sets(read_taxonomy(tree, LABELS), k)
    assert sets(read_taxonomy(table, LABELS), 3)[0] == {0, 1, 2}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "a,b\n1,2\n", "no columns child and parent"),
        ("t.csv", "child,parent\napple,fruit\n", "class 'food/fruit/pear' is not in it"),
        ("t.csv", "child,parent\napple,x\nx,y\ny,x\n", "own ancestor"),
        (
            "t.csv",
            "child,parent\nother,fruit\nother,tools\n",
            "'other' is a child of 'fruit' and of 'tools'; write each",
        ),
        ("t.json", '{"fruit": ["other"], "tools": ["other"]}', "'other' is a child of 'fruit' and of 'tools'"),
        ("t.json", "[1]", "1 is not a name"),
        ("t.json", "{", "JSON tree"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(FitError, match=message):
        read_taxonomy(tmp_path / name, LABELS)


def test_a_taxonomy_is_read_before_model_and_store(small_store: Store, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("wrong,head\n")
    for measure in (
        lambda: evaluate_model(tmp_path / "no-model", small_store.path, taxonomy=tmp_path / "t.csv"),
        lambda: compare(small_store.path, tmp_path / "out", taxonomy=tmp_path / "t.csv"),
    ):
        with pytest.raises(FitError, match="no columns child and parent"):
            measure()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "child,parent\napple\n"),
        ("t.csv", "child,parent\n,\napple,\n"),
        ("t.csv", "parent,child\nfruit\n,apple\n"),
        ("t.JSON", '["apple"]'),
    ],
)
def test_a_child_without_a_parent_hangs_at_the_root(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert read_taxonomy(tmp_path / name, ["apple"]) == [["apple", ""]]


def test_a_tree_without_end_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("[" * 100_000)
    with pytest.raises(FitError, match=r"taxonomy .*: "):
        read_taxonomy(tmp_path / "t.json", [])
