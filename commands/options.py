"""Options of commands: those made from the fields of a configuration, and those that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import click
from click.core import ParameterSource

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


class Place(click.Path):
    """A path, or, where `urls` says so, the URL of an object or of a folder of objects; see `place`."""

    def __init__(self, urls: bool = True, **settings: Any) -> None:
        super().__init__(path_type=Path, **settings)
        self.urls = urls

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; a URL is refused where it cannot be taken, before anything takes it for a folder of its name."""
        from huse.features.files.cache import most_bytes
        from huse.features.files.place import as_remote, is_remote, place

        found = place(value)
        if not is_remote(found):
            return super().convert(str(found), param, ctx)
        if not self.urls:
            self.fail(f"{value!r} is a URL; name a path of this machine", param, ctx)
        if as_remote(found).protocol == "memory":
            self.fail(f"{value!r} is in the memory of this command, and goes with it; name another place", param, ctx)
        most_bytes()  # what is wrong with it is known before any work
        return found


class ModelPlace(Place):
    """The folder of a trained model, by path, URL or ``hf://ORG/NAME``; see `model_folder`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The folder; of the hub, that of the files on this machine."""
        from huse.train.artifact.hub import is_of_hub, model_folder

        return model_folder(value) if is_of_hub(value) else super().convert(value, param, ctx)


model_argument = click.argument("model", type=ModelPlace())
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")


def images_beside(what: str) -> Decorator[Any]:
    """The option that says where the images of a store are, by default beside it."""
    return click.option(
        "--images",
        "images_folder",
        type=Place(exists=True, file_okay=False),
        metavar="DIR",
        help=f"Where relative image paths start from.  [default: the folder that {what} lies in]",
    )


images_option = images_beside("EMBEDDINGS")
index_option = click.option(
    "--index",
    type=click.Choice(["auto", "exact", "hnsw", "ivfpq"]),
    default="auto",
    show_default=True,
    help="Compare with all rows, or by an index (extra [search]); auto is exact up to a million rows.",
)
rescore_option = click.option(
    "--rescore",
    type=Place(file_okay=False),
    metavar="FULL",
    help="Rank what is found by the vectors of FULL, embeddings of the same rows as float16 or float32.",
)
semantic_graph_option = click.option(
    "--semantic-graph",
    default="auto",
    show_default=True,
    metavar="auto|names|taxonomy|FILE.npy",
    help="Class distances: from their names, else the tree of the label paths, else all classes equally far.",
)
taxonomy_option = click.option(
    "--taxonomy",
    type=Place(dir_okay=False),
    metavar="FILE",
    help="Tree of classes for HP@K, child,parent CSV or JSON.  [default: the label paths]",
)


class Part(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """I/N, one of N runs that share the work; or auto or auto/N, as the scheduler of the run says."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Both numbers, I from 1 to N."""
        part, slash, parts = str(value).partition("/")
        if part == "auto" and (not slash or (parts.isdecimal() and int(parts))):
            return self._of_job(int(parts) if slash else None, param, ctx)
        if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
            self.fail(f"{value!r} is not I/N with I from 1 to N, such as 1/4, nor auto or auto/N", param, ctx)
        return int(part), int(parts)

    def _of_job(self, parts: int | None, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        from huse.extract.parts import part_of_job
        from huse.features.errors import StoreError

        try:
            return part_of_job(os.environ, parts)
        except StoreError as error:
            self.fail(str(error), param, ctx)


class Workers(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """N, or MIN:MAX."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | tuple[int, int]:
        """One number, or both."""
        parts = str(value).split(":")
        if not all(part.isdecimal() and len(part) < 10 for part in parts) or len(parts) > 2:
            self.fail(f"{value!r} is neither N nor MIN:MAX, such as 4 or 2:8", param, ctx)
        numbers = [int(part) for part in parts]
        return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


class Lengths(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """N,N,...: some whole numbers."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers, ascending, each once; none of nothing, as an empty list of a file."""
        parts = str(value).split(",") if value else []
        if not all(part.strip().isdecimal() and len(part) < 10 for part in parts):
            self.fail(f"{value!r} is not N,N,..., such as 64,128,256", param, ctx)
        return tuple(sorted({int(part) for part in parts}))


def argument(name: str, **settings: Any) -> Decorator[Any]:
    """An argument that is the path or URL of a file or folder."""
    return click.argument(name, type=Place(), **settings)


def config_options(config: type, *names: str) -> Decorator[Any]:
    """An option for each field of a configuration that has metadata, or for those that are named.

    Options that are not given are None: what holds then stands in the configuration, and `given` leaves it out.
    """
    entries = [entry for entry in fields(config) if entry.metadata and entry.name in (names or {entry.name})]

    def decorate(command: Command) -> Command:
        for entry in reversed(entries):
            command = _option(entry, get_type_hints(config)[entry.name])(command)
        return command

    return decorate


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def tell_unused(why: str, *names: str) -> None:
    """Warns of those of a command's parameters that were given, and have nothing to act on."""
    from huse.features.unused import tell_unused as tell

    context = click.get_current_context()
    told = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    tell(why, told)


def moved_encoder_options(command: Command) -> Command:
    """The options that say where the encoders of a model are now."""
    for modality in ("text", "image"):
        command = click.option(
            f"--{modality}-encoder",
            metavar="NAME",
            help=f"The model's {modality} encoder, if it has moved, or comes from outside huse, as onnx:FOLDER.",
        )(command)
    return command


def separator_option(command: Command) -> Command:
    """The option that says what parts labels."""
    from huse.extract.manifest.columns import Columns

    return click.option(
        "--label-separator",
        default=Columns().label_separator,
        show_default=True,
        metavar="TEXT",
        help="What stands between the levels of a label, such as ' > '; '' when labels have no levels.",
    )(command)


def column_options(command: Command) -> Command:
    """The options that name the manifest's columns, and what parts its labels."""
    from huse.extract.manifest.rows import Columns

    names = vars(Columns())
    command = separator_option(command)
    for name in ("key", "split", "label", "text", "image"):
        flag, help_ = f"--{name}-column", f"Column of the {name}."
        command = click.option(flag, default=names[name], show_default=True, metavar="NAME", help=help_)(command)
    return command


def _option(entry: Field[Any], hint: Any) -> Decorator[Any]:
    says, flag = entry.metadata, f"--{entry.name.replace('_', '-')}"
    shown = says["shown"] or _shown(entry.default)
    text = f"{says['help']}  [default: {shown}]" if shown else says["help"]
    if hint is bool:
        flags = f"{flag}/--no-{flag[2:]}" if entry.default else flag
        return click.option(flags, entry.name, is_flag=True, default=None, help=text)
    return click.option(flag, entry.name, type=_kind(hint, says), default=None, metavar=says["metavar"], help=text)


def _kind(hint: Any, says: Mapping[str, Any]) -> Any:
    if says["choices"]:
        return click.Choice([choice for choice in says["choices"] if choice])
    if hint == Path | None:
        return Place(dir_okay=False)
    if hint == tuple[int, int]:
        return Part()
    if hint == int | tuple[int, int]:
        return Workers()
    if hint == tuple[int, ...]:
        return Lengths()
    if says["least"] is None:
        return hint
    span: Any = click.IntRange if hint in (int, int | None) else click.FloatRange
    return span(says["least"], says["most"])


def _shown(default: Any) -> str:
    """A default that says something; one that stands for nothing is not shown."""
    if isinstance(default, bool):
        return "on" if default else ""
    return "" if default is None else str(default)
