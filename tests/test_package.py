"""The package as a whole: what it exports, what it ships, and what its pages say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import huse

ROOT = Path(__file__).parent.parent


def test_every_public_name_is_there_and_documented() -> None:
    for name in huse.__all__:
        assert getattr(huse, name).__doc__
    with pytest.raises(AttributeError, match="No huse attribute nothing"):
        huse.nothing  # noqa: B018
    assert set(huse.__all__) == set(dir(huse))


def test_make_targets_are_the_commands_the_readme_names() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "$(BIN)/huse demo" in makefile
    assert "$(BIN)/python -m pytest" in makefile


def test_the_citation_is_of_this_version() -> None:
    assert f"\nversion: {huse.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_no_file_uses_british_spelling_of_these_words() -> None:
    words = re.compile(r"\b(colou?r(?<=colour)|normalis|standardis|centr(?:e|ed)\b|behaviour|licence|neighbour)", re.I)
    files = [*ROOT.glob("*.md"), *ROOT.glob("*/*.py"), *ROOT.glob("*/*/*.py"), *ROOT.glob("docs/*.md")]
    for path in files:
        if "build" in path.parts or ".venv" in path.parts or path == Path(__file__):
            continue
        found = words.search(path.read_text(encoding="utf-8"))
        assert not found, f"{path}: {found and found.group(0)}"
