"""What the prose names is there: commands, options, files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from huse.cli import main

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
FILE = re.compile(r"(?:[\w.-]+/)*[\w-]+\.(?:py|sh|ipynb)|(?:docs|examples)/[\w.-]+")
OF_OTHERS = {"my_encoders.py"}
"""Names that are the reader's."""

FOLDERS = [folder for folder in ROOT.glob("[a-z]*/") if folder.name not in ("build", "dist")]
FILES = {path.name for folder in FOLDERS for path in folder.rglob("*.*")}
"""Names of files, which prose may give without their folders."""


def spans(page: Path) -> list[str]:
    """What stands in backquotes in a page, blocks of code left out."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


def commands(command: click.Command, parent: click.Context | None = None) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command, parent=parent)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, context)


def options(command: click.Command) -> set[str]:
    known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    return known | {"--help", "--version"}


def named_commands(words: list[str]) -> Iterator[tuple[click.Command, list[str]]]:
    """The commands of a span such as `huse store merge | split --parts N`, each with the words behind it."""
    group: click.Command = main
    while words and words[0].startswith("--"):  # of the group itself
        words = words[1:]
    while words and isinstance(group, click.Group) and (words[0].islower() or words[0] == "|"):
        name, *words = words
        if name == "|":
            continue
        context = click.Context(group)
        child = group.get_command(context, name)
        assert child is not None, f"no command {name}"
        if isinstance(child, click.Group):
            group = child
            continue
        yield child, [] if words[:1] == ["|"] else words
        if words[:1] != ["|"]:
            return


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_are_there(page: Path) -> None:
    for span in spans(page):
        if not span.startswith("huse "):
            continue
        for command, rest in named_commands(shlex.split(span)[1:]):
            given = {word.rstrip(".,") for word in rest if word.startswith("--")}
            assert given <= options(command), span


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_named_alone_are_somebody_s(page: Path) -> None:
    known = set().union(*map(options, commands(main)))
    benchmarks = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py"))
    for span in spans(page):
        if span.startswith("--"):
            for option in re.findall(r"--[a-z][\w-]*", span):
                assert option in known or f'"{option}"' in benchmarks, span


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_repository_are_there(page: Path) -> None:
    for span in spans(page):
        module = re.match(r"(?:\S*python) -m ((?:benchmarks|tests)\.\w+)", span)
        name = module[1].replace(".", "/") if module else span
        if module:
            assert (ROOT / f"{name}.py").exists() or (ROOT / name).is_dir(), span
        elif FILE.fullmatch(name) and name not in OF_OTHERS:
            assert name in FILES or (ROOT / name).exists(), f"{span} is not there"
