"""`huse compare`."""

from __future__ import annotations

from pathlib import Path

import click

from huse.commands.options import Place, argument, json_option, semantic_graph_option, taxonomy_option
from huse.commands.quiet import uses_tensorflow
from huse.commands.tables import show


@click.command("compare")
@argument("store")
@click.option("--out", type=Place(), default=Path("compare"), show_default=True, help="For tables.")
@click.option("--objectives", metavar="A,B,...", help="Some of the methods.  [default: all that STORE allows]")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Runs a tuned method.")
@click.option("--trials", type=click.IntRange(1), default=3, show_default=True, help="Configurations tried a method.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training rows, for every method.")
@semantic_graph_option
@taxonomy_option
@json_option
@uses_tensorflow
def command(
    store: Path,
    out: Path,
    objectives: str | None,
    seeds: int,
    trials: int,
    epochs: int | None,
    semantic_graph: str,
    taxonomy: Path | None,
    as_json: bool,
) -> None:
    """Compare objectives on the same towers and features: the paper's Tables 1 to 3.

    Each method is tuned on validation rows by the same number of random trials, then trained with several seeds and
    measured on the test rows. Methods: posterior, linear, cca, separate, triplet, cme, adamine, infonce, sigmoid,
    supcon, dscmr, sdml, devise, hie, huse-p, huse-paper, huse.
    """
    from huse.train.compare.compare import compare

    chosen = tuple(name.strip() for name in objectives.split(",")) if objectives is not None else None
    changes = {"epochs": epochs} if epochs else None
    results = compare(store, out, chosen, seeds, trials, taxonomy, changes, semantic_graph)
    show((out / "tables.md").read_text(encoding="utf-8"), results, as_json)
