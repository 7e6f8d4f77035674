"""`huse plot`."""

from __future__ import annotations

from pathlib import Path

import click

from huse.commands.options import ModelPlace, Place, images_option, tell_unused
from huse.commands.quiet import uses_tensorflow
from huse.commands.tables import show
from huse.features.rows import SPLITS


@click.command("plot")
@click.argument("source", type=ModelPlace())
@click.argument("out", type=Place(dir_okay=False))
@click.option("--graph", is_flag=True, help="SOURCE is a model: its semantic graph against its class distances.")
@click.option(
    "--embeddings", "embeddings", type=Place(), help="With --graph: what the model made of rows that have labels."
)
@click.option("--history", is_flag=True, help="SOURCE is a model: its losses and validation score by epoch.")
@click.option("--split", type=click.Choice(SPLITS), help="Only rows of this split.  [default: all]")
@click.option(
    "--projection",
    type=click.Choice(["auto", "umap", "tsne", "pca"]),
    default="auto",
    show_default=True,
    help="Projection; auto is t-SNE up to 2,000 points, UMAP for more where it is installed (extra [plot]), or PCA.",
)
@click.option("--thumbnails/--points", default=None, help="Draw images, or rings.  [default: images if they are few]")
@click.option("--seed", default=0, show_default=True, help="Of the projection.")
@images_option
@uses_tensorflow
def command(
    source: Path,
    out: Path,
    graph: bool,
    embeddings: Path | None,
    history: bool,
    split: str | None,
    projection: str,
    thumbnails: bool | None,
    seed: int,
    images_folder: Path | None,
) -> None:
    """Draw the embeddings SOURCE as a map; or with --graph or --history what a model learned.

    A map is a file .png or .html. The page opens without a network, and shows an image or text under the pointer.
    """
    if graph and history:
        raise click.UsageError("give --graph or --history")
    if embeddings and not graph:
        tell_unused("no semantic graph is drawn", "embeddings")
    if graph or history:
        tell_unused("no map is drawn", "split", "projection", "thumbnails", "seed", "images_folder")
    from huse.embed.draw.model_plots import plot_graph, plot_history
    from huse.embed.draw.plot import plot_map

    if graph:
        correlation = plot_graph(source, out, embeddings)
        show(f"rank correlation of semantic and learned distances: {correlation:.3f}")
    elif history:
        plot_history(source, out)
    else:
        plot_map(
            source, out, split=split, projection=projection, thumbnails=thumbnails, folder=images_folder, seed=seed
        )
    show(f"wrote {out}")
