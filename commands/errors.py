"""Errors of commands: one line, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from huse.features.errors import HuseError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns the errors huse raises on purpose, and those of files and disks, into one line and exit code 1."""
    try:
        yield
    except KeyboardInterrupt as error:
        click.echo("Interrupted; nothing half-written is left", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from error
    except BrokenPipeError:  # the reader of the output has what it wants
        raise
    except (HuseError, OSError, MemoryError) as error:
        if isinstance(error, OSError) and _is_of_printing(error):
            error.filename = "standard output"
            _drop_output()
        raise click.ClickException(_one_line(error)) from error


def _is_of_printing(error: OSError) -> bool:
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals.get("__name__") == click.utils.__name__


def _drop_output() -> None:
    """Sends nowhere what could not be printed, which the interpreter would try again at its end."""
    with suppress(OSError, ValueError):  # a standard output that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _one_line(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "out of memory; give smaller batches or shards, or close other programs"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return " ".join(str(error).split("\n")) or type(error).__name__
