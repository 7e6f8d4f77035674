"""What the pages of the site must name; `make docs` builds them, and refuses links that lead nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import click

import huse
from huse.cli import main

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_the_python_page_has_every_public_name_once() -> None:
    named = re.findall(r"^::: huse\.(\w+)$", (DOCS / "python.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(named) == sorted(huse.__all__)


def test_the_page_of_commands_has_them_all() -> None:
    page, context = (DOCS / "commands.md").read_text(encoding="utf-8"), click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        for child in command.list_commands(context) if isinstance(command, click.Group) else [""]:
            assert f"| `huse {f'{name} {child}'.strip()}" in page
