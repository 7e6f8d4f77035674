"""`huse fit`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from huse.commands.options import Place, argument, config_options, given, json_option, semantic_graph_option
from huse.commands.quiet import uses_tensorflow
from huse.commands.settings_file import config_option, naming_settings, refuse_other_preset
from huse.commands.tables import fit_text, show
from huse.train.config import PRESETS, FitConfig
from huse.train.config import preset as preset_of


@click.command("fit")
@argument("store")
@argument("model")
@config_option
@click.option(
    "--preset", type=click.Choice(list(PRESETS)), default="default", show_default=True, help="Where to start."
)
@semantic_graph_option
@config_options(FitConfig)
@click.option("--overwrite", is_flag=True, help="Replace a model that is there.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of an interrupted fit.")
@click.option(
    "--tensorboard",
    type=Place(urls=False, file_okay=False),
    metavar="DIR",
    help="Log losses, retrieval and the space there, for tensorboard --logdir DIR.",
)
@json_option
@uses_tensorflow
def command(
    store: Path,
    model: Path,
    preset: str,
    semantic_graph: str,
    overwrite: bool,
    resume: bool,
    tensorboard: Path | None,
    as_json: bool,
    **changes: Any,
) -> None:
    """Train the shared HUSE towers on the vectors in STORE and save them as MODEL.

    Options that are not given keep the value of the preset; the defaults shown are those of the preset `default`.
    """
    from huse.train.fit import fit_model

    refuse_other_preset(preset)
    with naming_settings():
        chosen = preset_of(preset, **given(changes))
    summary = fit_model(store, model, chosen, semantic_graph, overwrite, resume, tensorboard)
    show(fit_text(summary, model), asdict(summary), as_json)
