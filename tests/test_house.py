"""What keeps the rooms small and whole: no long file, no long function, and no room that the package leaves out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = ("commands", "demo", "doctor", "embed", "extract", "features", "train")
BESIDE = ("benchmarks", "scripts", "examples")
LONGEST_FILE, LONGEST_FUNCTION = 300, 40


def package_files() -> list[Path]:
    return [*ROOT.glob("*.py"), *(file for part in PARTS for file in (ROOT / part).rglob("*.py"))]


def functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each function's name, and its lines but for those of its docstring and its decorators."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if ast.get_docstring(node):
                lines -= (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
            yield node.name, lines


def test_files_and_functions_are_short() -> None:
    files = package_files()
    assert len(files) > 150
    files += [file for room in BESIDE for file in (ROOT / room).rglob("*.py")]
    long = []
    for file in files:
        text = file.read_text(encoding="utf-8")
        long += [f"{file}: {count} lines"] if (count := text.count("\n")) > LONGEST_FILE else []
        long += [f"{file}: {name}, {n} lines" for name, n in functions(ast.parse(text)) if n > LONGEST_FUNCTION]
    assert not long


def test_every_room_is_part_of_the_package() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    rooms = {file.parent.relative_to(ROOT) for file in package_files() if file.name == "__init__.py"}
    assert set(setup["options"]["packages"].split()) == {".".join(("huse", *room.parts)) for room in rooms}
