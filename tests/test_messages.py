"""What the library says names arguments as Python has them, and the options of the command line behind them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import click

import huse
from huse.cli import main

ROOT = Path(__file__).parent.parent
ROOMS = ("features", "extract", "train", "embed", "doctor")
TYPED = re.compile(r"(huse|tensorboard|pip) [a-z]")
"""A command to type, whose options are its own."""
OTHERS = re.compile(r"\bray start --head\b")
"""The same of other programs, within a message."""


def messages() -> Iterator[tuple[str, str]]:
    """File and text of every string with an option in it that is neither a docstring nor a command to type."""
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        lone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in lone | parts:
                text = node.value
            else:
                continue
            if re.search(r"--[a-z{]", text) and not TYPED.match(text):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def options(command: click.Command) -> set[str]:
    """Every option of a command and of those below it."""
    context = click.Context(command)
    below = command.list_commands(context) if isinstance(command, click.Group) else []
    children = [command.get_command(context, name) for name in below]  # type: ignore[attr-defined]
    own = {flag for parameter in command.params for flag in parameter.opts}
    return own.union(*(options(child) for child in children if child))


def arguments() -> set[str]:
    """Every argument of the public functions and classes, and every field of the configurations."""
    names: set[str] = set()
    for name in huse.__all__:
        there = getattr(huse, name)
        if callable(there) and there is not huse.HuseError:
            names |= set(inspect.signature(there).parameters)
        if is_dataclass(there):
            names |= {entry.name for entry in fields(there)}
    return names


def test_messages_name_the_argument_and_then_the_option() -> None:
    found = list(messages())
    assert len(found) > 20
    known, there = arguments() | {"host", "port"}, options(main)
    for place, message in found:
        text = OTHERS.sub("", message)
        named = re.findall(r"([a-z_{}]+)(?:=[^ ]+)? \((--[a-z{}-]+)(?: [a-z]+)?\)", text)
        assert len(named) == len(re.findall(r"--[a-z{]", text)), f"{place}: {message}"
        for argument, flag in named:
            if "{}" not in argument + flag:
                assert argument in known, f"{place}: no argument {argument}"
                assert flag in there, f"{place}: no option {flag}"
