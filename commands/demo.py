"""`huse demo`."""

from __future__ import annotations

from pathlib import Path

import click

from huse.commands.options import Place, json_option
from huse.commands.quiet import uses_tensorflow
from huse.commands.tables import show


@click.command("demo")
@click.option(
    "--out",
    type=Place(urls=False, file_okay=False),
    default=Path("huse-demo"),
    show_default=True,
    help="Folder for everything the demo makes.",
)
@json_option
@uses_tensorflow
def command(out: Path, as_json: bool) -> None:
    """Run every stage on 1,911 bundled emoji: extract, fit, evaluate, embed, search, and draw the space."""
    from huse.demo.run import run_demo

    result = run_demo(out, (lambda _: None) if as_json else show)
    if as_json:
        show("", result, as_json)
