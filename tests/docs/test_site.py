"""What the pages of the site must name; `make docs` builds them, and refuses links that lead nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import huse

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_the_python_page_has_every_public_name_once() -> None:
    named = re.findall(r"^::: huse\.(\w+)$", (DOCS / "python.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted([*named, "__version__"]) == sorted(huse.__all__)
