"""Commands that may run TensorFlow, without its notices, and beside other processes on a GPU."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def uses_tensorflow(command: Command) -> Command:
    """Mutes the notices that TensorFlow prints while it is loaded, which is when a command first needs it.

    Left to itself it takes all memory of every GPU, and a second process there then fails in odd ways.
    """

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        if not click.get_current_context().find_root().params.get("debug"):
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            if "tensorflow" not in sys.modules:
                sys.meta_path.insert(0, _Muting())
        return command(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


class _Muting(MetaPathFinder):
    """Finds TensorFlow as ever, once; what it prints while it is loaded, before its log level counts, goes nowhere."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002 - as Python asks
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec and spec.loader:
            spec.loader.exec_module = _muted(spec.loader.exec_module)  # type: ignore[assignment, method-assign]
        return spec


def _muted(load: Callable[[Any], None]) -> Callable[[Any], None]:
    def muted(module: Any) -> None:
        with _muted_stderr():
            load(module)
            import tensorflow

            tensorflow.get_logger().setLevel("ERROR")  # its advice on retracing is for programmers

    return muted


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
