"""`huse evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from huse.commands.options import Place, argument, json_option, taxonomy_option
from huse.commands.quiet import uses_tensorflow
from huse.commands.tables import show
from huse.features.rows import SPLITS


@click.command("evaluate")
@argument("model")
@argument("store")
@click.option("--split", type=click.Choice([*SPLITS, "all"]), default="test", show_default=True, help="Which rows.")
@taxonomy_option
@click.option(
    "--report",
    type=Place(file_okay=False),
    metavar="DIR",
    help="Write DIR/index.html with a table of classes and what is confused with what.",
)
@json_option
@uses_tensorflow
def command(model: Path, store: Path, split: str, taxonomy: Path | None, report: Path | None, as_json: bool) -> None:
    """Measure MODEL on rows of STORE: accuracy, retrieval in four directions, and by instance.

    By class, a hit is any row of the query's class; by instance, its own other half, which takes no label.
    """
    from huse.train.evaluate import evaluate_model
    from huse.train.evaluation.table import metrics_table

    result = evaluate_model(model, store, split, taxonomy, report)
    show(metrics_table(result), result, as_json)
