"""Options that are made from a configuration: its fields, its defaults, its choices."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from huse.commands.options import config_options, given
from huse.embed.config import EmbedConfig
from huse.extract.config import ENCODING, ExtractConfig
from huse.features.errors import StoreError
from huse.features.options import option, require_allowed
from huse.train.config import FitConfig


@dataclass(frozen=True)
class Config:
    left: str = "not an option"
    kind: str = option("", "Which.", choices=("", "one", "two"))
    count: int = option(0, "How many.", least=0, shown="all of them")
    rate: float | None = option(None, "How much.", least=0, most=1)
    file: Path | None = option(None, "Where.", metavar="FILE")
    part: tuple[int, int] = option((1, 1), "Which of how many.", metavar="I/N")
    hands: int | tuple[int, int] = option(0, "At once.", metavar="N")
    lengths: tuple[int, ...] = option((), "How long.", shown="none")
    most: int | None = option(None, "At most.", least=1, shown="all")
    kept: bool = option(True, "Whether.")
    more: bool = option(False, "Whether also.")


def parsed(*arguments: str, names: tuple[str, ...] = ()) -> dict[str, Any]:
    taken: dict[str, Any] = {}

    @click.command()
    @config_options(Config, *names)
    def command(**options: Any) -> None:
        taken.update(options)

    result = CliRunner().invoke(command, arguments)
    if result.exit_code:
        raise click.UsageError(result.output)
    return taken or {"help": result.output}


def test_options_that_are_not_given_leave_the_configuration_as_it_is() -> None:
    options = parsed()
    assert list(options) == [entry.name for entry in fields(Config)][1:]
    assert Config(**given(options)) == Config()


def test_options_that_are_given_have_the_type_of_the_field() -> None:
    words = [
        "--kind",
        "two",
        "--count",
        "3",
        "--rate",
        "0.5",
        "--file",
        "a",
        "--part",
        "2/3",
        "--hands",
        "4:8",
        "--lengths",
        "128,64",
        "--most",
        "7",
        "--no-kept",
        "--more",
    ]
    assert Config(**parsed(*words)) == Config(
        "not an option", "two", 3, 0.5, Path("a"), (2, 3), (4, 8), (64, 128), 7, False, True
    )
    assert parsed("--hands", "5", names=("hands",)) == {"hands": 5}
    assert parsed("--count", "3", names=("count", "more")) == {"count": 3, "more": None}


@pytest.mark.parametrize(
    "words",
    [
        *("--kind three", "--count -1", "--rate 1.5", "--part 3/2", "--file .", "--left a"),
        *("--hands -1", "--hands 1:2:3", "--hands 1:", "--hands two"),
        *("--lengths 64;128", "--lengths 64,", "--lengths -1", "--most 0", "--most 1.5"),
    ],
)
def test_what_a_field_does_not_allow_is_wrong_usage(words: str) -> None:
    with pytest.raises(click.UsageError):
        parsed(*words.split())


def test_the_help_has_the_defaults_and_the_words_of_the_fields() -> None:
    shown = " ".join(parsed("--help")["help"].split())
    for words in (
        "--kind [one|two] Which. --count",  # an empty choice and an empty default say nothing
        "How many. [default: all of them]",
        "--file FILE Where. --part I/N",
        "--lengths N,N,... How long. [default: none]",
        "--kept / --no-kept Whether. [default: on]",
        "--more Whether also. --help",
    ):
        assert words in shown


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "three"}, "kind is 'three'; use '', 'one' or 'two'"),
        ({"count": -1}, "count is -1; it must be at least 0"),
        ({"rate": 1.5}, "rate is 1.5; it must be from 0 to 1"),
        ({"rate": float("nan")}, "rate is nan; it must be from 0 to 1"),
    ],
)
def test_what_a_field_does_not_allow_is_an_error_in_python_too(changes: dict[str, Any], message: str) -> None:
    require_allowed(Config(), StoreError)
    with pytest.raises(StoreError, match=f"^{message}$"):
        require_allowed(Config(**changes), StoreError)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": -1}, "workers=-1 (--workers): name a number"),
        ({"workers": (3, 2), "engine": "ray"}, "workers=3:2 (--workers): name a number"),
        ({"workers": (2, 3)}, "workers=2:3 (--workers) is of engine='ray' (--engine ray)"),
        ({"ray_address": "auto"}, "ray_address (--ray-address): of engine='ray'"),
        ({"max_retries": 1, "gpus_per_worker": 1.0}, "gpus_per_worker (--gpus-per-worker), max_retries"),
        ({"engine": "ray", "part": (1, 2)}, "part (--part) is of engine='local'"),
        ({"retry_failed": True, "content": True}, "retry_failed=True (--retry-failed) leaves stored rows unread"),
        ({"engine": "slurm"}, "engine is 'slurm'; use 'local' or 'ray'"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], message: str) -> None:
    ExtractConfig(workers=3).require_valid(overwrite=False)
    ExtractConfig(workers=(0, 3), engine="ray", cpus_per_worker=2).require_valid(overwrite=False)
    with pytest.raises(StoreError, match=re.escape(message)):
        ExtractConfig(**changes).require_valid(overwrite=False)


def test_every_field_of_the_configurations_is_an_option() -> None:
    assert [entry.name for entry in fields(ExtractConfig) if not entry.metadata] == []
    assert [entry.name for entry in fields(FitConfig) if not entry.metadata] == ["preset"]
    assert [entry.name for entry in fields(EmbedConfig) if not entry.metadata] == []
    assert set(ENCODING) < {entry.name for entry in fields(ExtractConfig)}
