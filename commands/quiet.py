"""Commands that run TensorFlow, without its notices."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def uses_tensorflow(command: Command) -> Command:
    """Loads TensorFlow before the command, without the notices it prints before its log level counts."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        root = click.get_current_context().find_root()
        if root.params.get("debug"):
            return command(*args, **kwargs)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _muted_stderr():
            import tensorflow

            tensorflow.get_logger().setLevel("ERROR")  # its advice on retracing is for programmers
        return command(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


@contextmanager
def _muted_stderr() -> Iterator[None]:
    """Sends what native code writes to standard error nowhere."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
