"""Images and texts stand side by side by name, so that none is taken for the other."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import huse
from huse.features.modality import MODALITIES, Pair, Side

PACKAGE = Path(huse.__file__).parent
ROOMS = ("commands", "demo", "doctor", "embed", "extract", "features", "train")
FILES = [PACKAGE / "cli.py", *(file for room in ROOMS for file in sorted((PACKAGE / room).rglob("*.py")))]


def side(*numbers: int) -> Side:
    return Side(np.array(numbers, np.float32)[:, None], np.array(numbers) > 0)


def test_a_pair_is_made_and_asked_by_name() -> None:
    pair = Pair(text=2, image=1)
    assert pair.items() == (("image", 1), ("text", 2))
    assert [pair.of(name) for name in MODALITIES] == [1, 2]
    assert pair.map(str) == Pair(image="1", text="2") == Pair.by_name({"image": "1", "text": "2"}.__getitem__)
    with pytest.raises(TypeError):
        Pair(1, 2)  # type: ignore[misc]
    with pytest.raises(KeyError, match="sound"):
        pair.of("sound")


def test_given_leaves_out_what_is_none_and_keeps_what_is_empty() -> None:
    assert Pair(image=None, text=0).given() == {"text": 0}


def test_vectors_and_masks_go_together() -> None:
    rows = Side.joined([side(0, 1), side(2, 0)])
    assert (rows.vectors[:, 0].tolist(), rows.present.tolist()) == ([0, 1, 2, 0], [False, True, True, False])
    rows.part(slice(1, 3)).put(slice(0, 1), side(0))  # a slice is a view
    assert (rows.vectors[:, 0].tolist(), rows.present.tolist()) == ([0, 0, 2, 0], [False, False, True, False])
    rows.part(np.array([2])).put(slice(0, 1), side(7))  # numbers are a copy
    assert rows.vectors[:, 0].tolist() == [0, 0, 2, 0]


def test_no_attribute_of_the_package_has_a_computed_name() -> None:
    computed = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("getattr", "setattr")
        and not isinstance(node.args[1], ast.Constant)
    ]
    assert not computed


def test_the_two_modalities_are_defined_once() -> None:
    written = [
        str(file.relative_to(PACKAGE))
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Tuple | ast.List)
        and [part.value for part in node.elts if isinstance(part, ast.Constant)] == list(MODALITIES)
        and len(node.elts) == len(MODALITIES)
    ]
    # a type spells its values out
    assert [name for name in written if name != "embed/serve/schema.py"] == ["features/modality.py"]
