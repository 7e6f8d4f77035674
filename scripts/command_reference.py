"""Hook of MkDocs: puts what `huse COMMAND --help` says of every command below docs/commands.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from huse.cli import main

PAGE = "commands.md"
WIDTH = 80
"""Columns of the help, so that the page does not depend on the terminal in which it is made."""


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page, with the commands behind it if it is theirs."""
    return "\n\n".join((markdown, *sections(main, "huse"))) if page.file.src_uri == PAGE else markdown


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
