"""`--config FILE.toml`: what options that are not given are, by the table of the command in a file of settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from huse.commands.options import Lengths, Place, Workers
from huse.features.errors import HuseError, SettingsError
from huse.features.settings import read_settings

TABLES = ("extract", "fit", "embed")

EACH_TIME = ("overwrite", "yes", "resume", "changes", "tensorboard", "json")
"""Options of one run alone: what is replaced and where something is written is said when it is."""


def _take(ctx: click.Context, param: click.Parameter, file: Path | None) -> None:
    if file is not None:
        try:
            ctx.default_map = _checked(file, _table(file, str(ctx.command.name)), ctx)
        except SettingsError as error:
            raise click.BadParameter(str(error), ctx, param) from error
        ctx.meta[__name__] = file


config_option = click.option(
    "--config",
    type=Place(exists=True, dir_okay=False),
    metavar="FILE.toml",
    is_eager=True,
    expose_value=False,
    callback=_take,
    help="Options from a file, such as the settings.toml that this command leaves; those given here win.",
)
"""The option that takes other options from a file, before all others are read."""


@contextmanager
def naming_settings() -> Iterator[None]:
    """Names the file where a value of it is refused in the block, by an error that begins with the option's name.

    Raises:
        UsageError: in place of that error.
    """
    try:
        yield
    except HuseError as error:
        context = click.get_current_context()
        if context.get_parameter_source(str(error).partition(" ")[0]) is not ParameterSource.DEFAULT_MAP:
            raise
        raise click.UsageError(f"{context.meta[__name__]}: [{context.command.name}] {error}") from error


def refuse_other_preset(preset: str) -> None:
    """Refuses a preset beside a file that starts from another: the file's own values would stay as they are.

    Raises:
        UsageError: the message says what to leave out.
    """
    context = click.get_current_context()
    in_file = (context.default_map or {}).get("preset", preset)
    if context.get_parameter_source("preset") is ParameterSource.COMMANDLINE and in_file != preset:
        raise click.UsageError(
            f"--preset {preset} beside a --config that starts from preset {in_file}, whose values would stay; "
            "leave --preset out, or take out of the file what it is to replace"
        )


def _table(file: Path, command: str) -> Mapping[str, Any]:
    """The settings of a command.

    Raises:
        SettingsError: the file has no such table, or something else beside those of commands.
    """
    found = read_settings(file)
    for name, value in found.items():
        if name not in TABLES:
            raise SettingsError(f"{file}: no command takes settings by {name}{_meant(name, TABLES)}; {_below(command)}")
        if not isinstance(value, dict):
            raise SettingsError(f"{file}: {name} is no table; {_below(command)}")
    if command not in found:
        has = f"has settings of {' and '.join(found)} alone" if found else "is empty"
        raise SettingsError(f"{file}: {has}; {_below(command)}")
    return found[command]  # type: ignore[no-any-return]


def _below(command: str) -> str:
    return f"write those of huse {command} below a line [{command}]"


def _checked(file: Path, table: Mapping[str, Any], ctx: click.Context) -> dict[str, Any]:
    """The values of a table by the parameters of a command, as the command line has them."""
    options = {_word(option): option for option in ctx.command.params if isinstance(option, click.Option)}
    known = [name for name in options if name not in EACH_TIME and name != "config"]
    taken: dict[str, Any] = {}
    for name, value in table.items():
        where, word = f"{file}: [{ctx.command.name}] {name}", name.replace("-", "_")
        if word in EACH_TIME and word in options:
            raise SettingsError(f"{where} is said each time; take it out, and give --{word}")
        if word not in known:
            raise SettingsError(
                f"{where}: there is no such setting{_meant(word, known)}; see huse {ctx.command.name} -h"
            )
        parameter = str(options[word].name)
        if parameter in taken:
            raise SettingsError(f"{where} is there twice, with _ and with -; take one out")
        taken[parameter] = _value(where, value, options[word], ctx)
    return taken


def _word(option: click.Option) -> str:
    """An option's name in files."""
    return option.opts[0].lstrip("-").replace("-", "_")


def _meant(name: str, names: Collection[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _value(where: str, value: Any, option: click.Option, ctx: click.Context) -> Any:
    """A value as the command line has it, once it is known to be allowed there, and of the option's own type."""
    types, words = _types(option)
    parts = value if isinstance(value, list) else [value]
    if not isinstance(value, types) or any(isinstance(part, bool) and bool not in types for part in parts):
        raise SettingsError(f"{where} is {value!r}; write {words}")
    typed = ",".join(map(str, value)) if isinstance(value, list) else value
    try:
        option.type.convert(typed, option, ctx)
    except click.BadParameter as error:
        raise SettingsError(f"{where}: {error.message}") from error
    return typed


def _types(option: click.Option) -> tuple[tuple[type, ...], str]:
    """The types that a value may have in TOML, and what to write."""
    if option.is_flag:
        return (bool,), "true or false"
    if isinstance(option.type, Workers):
        return (int, str), 'a whole number, or "MIN:MAX"'
    if isinstance(option.type, Lengths):
        return (list, str), "whole numbers, [N, N]"
    if isinstance(option.type, click.types.IntParamType):
        return (int,), "a whole number"
    if isinstance(option.type, click.types.FloatParamType):
        return (int, float), "a number"
    return (str,), 'a text in quotes, "..."'
