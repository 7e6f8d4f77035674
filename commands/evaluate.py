"""`huse evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from huse.commands.options import (
    Place,
    argument,
    images_beside,
    json_option,
    model_argument,
    taxonomy_option,
    tell_unused,
)
from huse.commands.quiet import uses_tensorflow
from huse.commands.tables import show
from huse.features.files.place import folder_above
from huse.features.rows import SPLITS


@click.command("evaluate")
@model_argument
@argument("store")
@click.option("--split", type=click.Choice([*SPLITS, "all"]), default="test", show_default=True, help="Which rows.")
@taxonomy_option
@click.option(
    "--report",
    type=Place(file_okay=False),
    metavar="DIR",
    help="Write DIR/index.html: classes, what is confused with what, and rows whose label is doubted, also a table.",
)
@click.option(
    "--folds",
    type=click.IntRange(2),
    metavar="N",
    help="In the report, judge the labels of rows that were trained on by N fits, each without one part of them.",
)
@images_beside("STORE")
@json_option
@uses_tensorflow
def command(
    model: Path,
    store: Path,
    split: str,
    taxonomy: Path | None,
    report: Path | None,
    folds: int | None,
    images_folder: Path | None,
    as_json: bool,
) -> None:
    """Measure MODEL on rows of STORE: accuracy, retrieval in four directions, and by instance.

    By class, a hit is any row of the query's class; by instance, its own other half, which takes no label.
    """
    if report is None:
        tell_unused("no --report is given", "folds", "images_folder")
    elif split in ("val", "test"):
        tell_unused(f"no row of split {split} was trained on", "folds")
    from huse.embed.draw.thumbnails import Thumbnails
    from huse.train.evaluate import evaluate_model
    from huse.train.evaluation.table import metrics_table

    thumbnails = Thumbnails(images_folder or folder_above(store))
    result = evaluate_model(model, store, split, taxonomy, report, folds or 0, thumbnails.data_uri)
    show(metrics_table(result), result, as_json)
    thumbnails.warn_of_none()
