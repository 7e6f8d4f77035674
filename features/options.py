"""A field of a configuration, with what its option says and which values it may have."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any

from huse.features.errors import HuseError


def option(
    default: Any,
    text: str,
    *,
    choices: tuple[str, ...] = (),
    least: float | None = None,
    most: float | None = None,
    metavar: str | None = None,
    shown: str | None = None,
    kept: bool = True,
) -> Any:
    """A dataclass field that is an option of a command too.

    Args:
        default: value of the field, and of the option when it is not given.
        text: help of the option.
        choices: the values that a string may have; an empty one is none of the command line's.
        least: smallest value of a number.
        most: largest value of a number.
        metavar: what stands for the value in the help, when not its type.
        shown: the default in words, when its value says little.
        kept: whether settings.toml has it: not what is of one run alone, as which machines it takes.
    """
    says = {"help": text, "choices": choices, "least": least, "most": most, "metavar": metavar, "shown": shown}
    return field(default=default, metadata={**says, "kept": kept})


def kept_values(config: Any) -> dict[str, Any]:
    """The values of a configuration that settings.toml has; None for those that an option has no word for."""
    kept = {entry.name: vars(config)[entry.name] for entry in fields(config) if entry.metadata.get("kept", True)}
    choices = {entry.name: entry.metadata.get("choices") for entry in fields(config)}
    return {name: None if value == () or (value == "" and choices[name]) else value for name, value in kept.items()}


def require_allowed(config: Any, error: type[HuseError]) -> None:
    """Refuses a configuration with a value that its fields do not allow.

    Raises:
        HuseError: of the type `error`: a string is none of the choices, or a number out of its range.
    """
    for entry in fields(config):
        value, allows = vars(config)[entry.name], entry.metadata
        if not allows or value is None:
            continue
        choices, least, most = allows["choices"], allows["least"], allows["most"]
        if choices and value not in choices:
            listed = [repr(choice) for choice in choices]
            raise error(f"{entry.name} is {value!r}; use {', '.join(listed[:-1])} or {listed[-1]}")
        if least is not None and most is not None and not least <= value <= most:
            raise error(f"{entry.name} is {value}; it must be from {least} to {most}")
        if least is not None and not least <= value:
            raise error(f"{entry.name} is {value}; it must be at least {least}")
