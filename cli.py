"""The `huse` command: a group that loads its commands when they are called, and makes errors one line."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

from huse import __version__
from huse.commands.errors import one_line_errors

COMMANDS = {
    "compare": "Compare objectives on the same towers and features: the paper's Tables 1 to 3.",
    "demo": "Run every stage on 1,911 bundled emoji: extract, fit, evaluate, embed, search, and draw the space.",
    "doctor": "Tell what this machine has and what a run would use; check the files of a store, a model or embeddings.",
    "embed": "Place the rows of SOURCE, a store or a manifest, into the space of MODEL.",
    "encoders": "List the encoders: name, modality, dimension, source of the weights, and the extra that some need.",
    "evaluate": "Measure MODEL on rows of STORE: accuracy, retrieval in four directions, and by instance.",
    "export": "Hand a model or embeddings to other programs.",
    "extract": "Run the frozen encoders over MANIFEST and cache their vectors in STORE.",
    "fit": "Train the shared HUSE towers on the vectors in STORE and save them as MODEL.",
    "plot": "Draw the embeddings SOURCE as a map; or with --graph or --history what a model learned.",
    "search": "Find the rows of EMBEDDINGS nearest to texts and images.",
    "serve": "Serve a page that searches EMBEDDINGS by words and images, and a JSON API, described under /docs.",
    "store": "Look into a store of features or embeddings, take it apart, put it together, bring it in and out.",
}
"""Each command, in the module of its name, with the first line of its help: `huse --help` loads none of them."""


class HuseGroup(click.Group):
    """Loads a command when it is called, and makes the errors of huse, files and disks one line and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of its module, loaded now, or one that was handed in."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = import_module(f"huse.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Writes the commands into the help, loading none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Reads the options; --help and --version print in here."""
        with one_line_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; --debug lets the traceback through."""
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        with one_line_errors():
            return super().invoke(ctx)


@click.group(cls=HuseGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="huse")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Images, texts and classes in one semantic space (HUSE, arXiv 1911.05978).

    \b
    huse extract MANIFEST STORE      frozen encoders, once, into HDF5 shards
    huse fit STORE MODEL             train the shared towers on the cached vectors
    huse evaluate MODEL STORE        accuracy and retrieval
    huse embed MODEL SOURCE OUT      new or cached rows into the space
    huse search MODEL OUT --text ""  the nearest images or texts
    """  # noqa: D301 - click's mark is the backspace itself
    if isinstance(sys.stdout, TextIOWrapper):  # a name that it has no letters for costs its letters, not the command
        sys.stdout.reconfigure(errors="backslashreplace")
    if not debug:
        warnings.showwarning = lambda message, *_, **__: click.echo(f"Warning: {message}", err=True)
