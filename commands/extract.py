"""`huse extract`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from huse.commands.options import argument, column_options, config_options, given, json_option
from huse.commands.quiet import uses_tensorflow
from huse.commands.settings_file import config_option
from huse.commands.tables import extract_text, extract_values, show
from huse.extract.config import ExtractConfig
from huse.extract.manifest.rows import Columns
from huse.features.errors import ExtractionError


@click.command("extract")
@argument("manifest")
@argument("store")
@config_option
@config_options(ExtractConfig)
@click.option("--overwrite", is_flag=True, help="Delete the store that is there, and begin anew.")
@click.option("--yes", is_flag=True, help="Do not ask before deleting.")
@column_options
@json_option
@uses_tensorflow
def command(manifest: Path, store: Path, overwrite: bool, yes: bool, as_json: bool, **options: Any) -> None:
    """Run the frozen encoders over MANIFEST and cache their vectors in STORE.

    MANIFEST is a table with columns image, text, label, split and key, of which image or text must be there: CSV, TSV
    or JSON lines, each also .gz, Parquet, or WebDataset tars; several files by a pattern in quotes, or by their folder.
    Or it is a folder of images, whose sub-folders are their labels.
    Running it again continues an interrupted run, and brings the store to a manifest that has changed.
    """
    from huse.extract.extract import extract_features

    config, columns = stage_one(options)
    if overwrite and (store / "store.json").exists() and not yes:
        click.confirm(f"Delete the store {store} and all its vectors?", abort=True, err=True)
    try:
        summary = extract_features(manifest, store, config, columns, overwrite)
    except ExtractionError as error:
        if not as_json:
            show(extract_text(error.summary, store))
        raise
    show(extract_text(summary, store), extract_values(summary), as_json)


def stage_one(options: dict[str, Any]) -> tuple[ExtractConfig, Columns]:
    """The configuration and the columns that the options of stage 1 say."""
    names = {name: options.pop(f"{name}_column") for name in ("image", "text", "label", "split", "key")}
    columns = Columns(**names, label_separator=options.pop("label_separator"))
    return ExtractConfig(**given(options)), columns
