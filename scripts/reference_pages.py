"""Hook of MkDocs: the parts of two pages that are made from what the code says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import click

from huse.cli import main
from huse.train.config import FitConfig

HYPERPARAMETERS = "<!-- hyperparameters -->"
"""Where docs/python.md has the fields of `FitConfig`."""

WIDTH = 80
"""Columns of the help, so that the page does not depend on the terminal in which it is made."""


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page, with the help of every command behind docs/commands.md, and the table in docs/python.md."""
    if page.file.src_uri == "commands.md":
        return "\n\n".join((markdown, *sections(main, "huse")))
    return markdown.replace(HYPERPARAMETERS, "\n".join(hyperparameters()))


def sections(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[str]:
    """A section of Markdown for a command, and one for each command below it."""
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=WIDTH, **command.context_settings
    )
    yield f"## {context.command_path}\n\n```text\n{context.get_help()}\n```"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            if below := command.get_command(context, child):
                yield from sections(below, child, context)


def hyperparameters() -> Iterator[str]:
    """Lines of a table of the fields of `FitConfig`."""
    yield from ("| field | default | meaning |", "|---|---|---|")
    for field in fields(FitConfig):
        if field.metadata:
            yield f"| `{field.name}` | `{field.default!r}` | {field.metadata['help']} |"
