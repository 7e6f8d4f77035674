"""`huse encoders`."""

from __future__ import annotations

import click

from huse.commands.options import json_option
from huse.commands.tables import columns, show


@click.command("encoders")
@json_option
def command(as_json: bool) -> None:
    """List the encoders: name, modality, dimension, source of the weights, and the extra that some need."""
    from huse.extract.encoders.registry import listed

    known = listed()
    show(columns(known), {"encoders": known}, as_json)
