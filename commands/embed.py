"""`huse embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from huse.commands.extract import stage_one
from huse.commands.options import (
    Place,
    argument,
    column_options,
    config_options,
    json_option,
    model_argument,
    moved_encoder_options,
)
from huse.commands.quiet import uses_tensorflow
from huse.commands.settings_file import config_option
from huse.commands.tables import embed_text, embed_values, show
from huse.embed.config import EmbedConfig
from huse.extract.config import ENCODING, ExtractConfig


@click.command("embed")
@model_argument
@argument("source")
@argument("out")
@config_option
@click.option("--fuse", is_flag=True, help="One vector a row, along the sum of its two, in a file OUT or FILE.")
@click.option("--overwrite", is_flag=True, help="Embed all rows anew, also over another model's; keeps OUT/features.")
@click.option(
    "--changes",
    type=Place(dir_okay=False),
    metavar="FILE",
    help="Write what has changed since this was last written, for a database: a file .parquet (extra [parquet]).",
)
@config_options(EmbedConfig)
@config_options(ExtractConfig, *ENCODING)
@moved_encoder_options
@column_options
@json_option
@uses_tensorflow
def command(
    model: Path,
    source: Path,
    out: Path,
    fuse: bool,
    overwrite: bool,
    changes: Path | None,
    dtype: str | None,
    dimension: int | None,
    image_encoder: str | None,
    text_encoder: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Place the rows of SOURCE, a store or a manifest, into the space of MODEL.

    OUT becomes a store of embeddings, or a file .npy or .parquet beside one. For a manifest stage 1 runs first, with
    the model's own encoders, into OUT/features. Running it again embeds new and changed rows only.
    """
    from huse.embed.embed import embed_source
    from huse.embed.model import load

    kept = EmbedConfig(dtype, dimension)
    config, columns = stage_one(options)
    loaded = load(model, config.image_weights, config.precision, image_encoder, text_encoder)
    summary = embed_source(loaded, source, out, config, columns, fuse, overwrite, changes, kept)
    show(embed_text(summary, out, changes), embed_values(summary), as_json)
