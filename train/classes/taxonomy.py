"""The tree that classes hang in, from label paths or a file, and the class sets of HP@K that it gives."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.companions import class_name
from huse.features.errors import FitError
from huse.features.files.place import place

ROOT = ""


def ancestors_of_labels(labels: list[str]) -> list[list[str]]:
    """For every label path its ancestors, from itself up to the root; ``a/b`` gives ``a/b``, ``a`` and the root."""
    paths = [label.split("/") for label in labels]
    return [["/".join(path[:depth]) for depth in range(len(path), 0, -1)] + [ROOT] for path in paths]


def read_taxonomy(path: Path, labels: list[str]) -> list[list[str]]:
    """For every label its ancestors in a taxonomy file, from itself up to the root.

    Args:
        path: a CSV file with columns child and parent, or a JSON file with nested objects whose leaves are classes.
            Classes are named by their whole label or by its last part.
        labels: the classes.

    Raises:
        FitError: the file cannot be read, has a cycle or a child of two parents, or lacks a class.
    """
    try:
        content = place(path).read_text(encoding="utf-8-sig")
        is_json = path.suffix.lower() == ".json"
        parents = _one_parent_each(_json_pairs(json.loads(content))) if is_json else _csv_parents(content)
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise FitError(f"taxonomy {path}: {error}; give child,parent CSV or a JSON tree") from error
    return [_climb(path, label, parents) for label in labels]


def near_classes(ancestors: list[list[str]], ks: tuple[int, ...]) -> dict[int, NDArray[np.bool_]]:
    """The classes that count as right for each class at each K, after DeViSE.

    The set of a class starts as the class alone and grows by going up the tree, each time taking in all classes below
    the ancestor, until it has at least K members or the whole tree.

    Args:
        ancestors: for each of C classes its ancestors, from itself up.
        ks: the K.

    Returns:
        For each K a (C, C) mask; row c holds the set of class c.
    """
    members: dict[str, set[int]] = {}
    for number, chain in enumerate(ancestors):
        for node in chain:
            members.setdefault(node, set()).add(number)
    below = {node: np.fromiter(numbers, np.intp, len(numbers)) for node, numbers in members.items()}
    masks = {}
    for k in ks:
        mask = np.eye(len(ancestors), dtype=bool)
        for number, chain in enumerate(ancestors):
            for node in chain:
                mask[number, below[node]] = True
                if len(below[node]) >= k:  # those below an ancestor are all that were taken in on the way to it
                    break
        masks[k] = mask
    return masks


def _csv_parents(content: str) -> dict[str, str]:
    reader = csv.DictReader(content.splitlines())
    if not {"child", "parent"} <= set(reader.fieldnames or ()):
        raise ValueError("no columns child and parent")
    named = ((row["child"] or "", row["parent"] or ROOT) for row in reader)
    return _one_parent_each((child.strip(), parent.strip()) for child, parent in named if child.strip())


def _one_parent_each(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    parents: dict[str, str] = {}
    for child, parent in pairs:
        if parents.setdefault(child, parent) != parent:
            both = " and of ".join(repr(name or "the root") for name in (parents[child], parent))
            raise ValueError(f"{child!r} is a child of {both}; write each as its whole label path")
    return parents


def _json_pairs(tree: Any, parent: str = ROOT) -> Iterator[tuple[str, str]]:
    children = tree if isinstance(tree, list) else list(tree) if isinstance(tree, Mapping) else [tree]
    for child in children:
        if not isinstance(child, str):
            raise ValueError(f"{child!r} is not a name")
        yield child, parent
        if isinstance(tree, Mapping):
            yield from _json_pairs(tree[child], child)


def _climb(path: Path, label: str, parents: dict[str, str]) -> list[str]:
    node = label if label in parents else class_name(label)
    if node not in parents:
        raise FitError(f"taxonomy {path}: class {label!r} is not in it; add it as a child")
    chain = [label]
    while (node := parents.get(node, ROOT)) != ROOT:
        if node in chain:
            raise FitError(f"taxonomy {path}: {node!r} is its own ancestor; remove the cycle")
        chain.append(node)
    return [*chain, ROOT]
