"""`huse search`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from huse.commands.options import (
    Place,
    argument,
    config_options,
    given,
    images_option,
    index_option,
    json_option,
    model_argument,
    moved_encoder_options,
    rescore_option,
    tell_unused,
)
from huse.commands.quiet import uses_tensorflow
from huse.commands.tables import results_text, show
from huse.extract.config import ExtractConfig
from huse.features.files.place import folder_above


@click.command("search")
@model_argument
@argument("embeddings")
@click.option("--text", "texts", multiple=True, metavar="WORDS", help="What to search for; may be given several times.")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=Place(),
    metavar="FILE",
    help="Image to search for; may be given several times.",
)
@click.option("-k", type=click.IntRange(1), default=10, show_default=True, help="Most hits a query.")
@click.option(
    "--gallery",
    type=click.Choice(["image", "text", "fused"]),
    help="Compare with images, texts, or both as one.  [default: the other kind than the query]",
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="LABEL",
    help="Only rows of this class, or below it; may be given several times.",
)
@index_option
@rescore_option
@click.option("--open", "open_page", is_flag=True, help="Write a page with the images, and open it in a browser.")
@images_option
@config_options(ExtractConfig, "max_pixels", "image_weights")
@moved_encoder_options
@json_option
@uses_tensorflow
def command(
    model: Path,
    embeddings: Path,
    texts: tuple[str, ...],
    images: tuple[Path, ...],
    open_page: bool,
    images_folder: Path | None,
    k: int,
    gallery: str | None,
    classes: tuple[str, ...],
    index: str,
    rescore: Path | None,
    as_json: bool,
    **encoders: Any,
) -> None:
    """Find the rows of EMBEDDINGS nearest to texts and images."""
    if not texts and not images:
        raise click.UsageError("give --text or --image")
    _tell_unused(texts, images, open_page)
    from huse.embed.draw.hits_page import place_of_hits_page, write_hits_page
    from huse.embed.model import load
    from huse.embed.search.search import search_embeddings

    page = place_of_hits_page(embeddings) if open_page else None
    found = search_embeddings(
        load(model, **given(encoders)),
        embeddings,
        texts=texts,
        images=images,
        k=k,
        gallery=gallery,
        classes=classes,
        index=index,
        rescore=rescore,
    )
    queries = [*texts, *map(str, images)]
    results = [{"query": q, "hits": [asdict(hit) for hit in hits]} for q, hits in zip(queries, found, strict=True)]
    show(results_text(results), {"results": results}, as_json)
    if page is not None:
        write_hits_page(page, queries, found, images_folder or folder_above(embeddings))
        _open(page, as_json)


def _tell_unused(texts: tuple[str, ...], images: tuple[Path, ...], open_page: bool) -> None:
    for is_given, option, *unused in (
        (images, "--image", "image_encoder", "image_weights", "max_pixels"),
        (texts, "--text", "text_encoder"),
        (open_page, "--open", "images_folder"),
    ):
        if not is_given:
            tell_unused(f"no {option} is given", *unused)


def _open(page: Path, as_json: bool) -> None:
    if not as_json:
        show(f"wrote {page}")
    from huse.features.files.cache import local_copy

    click.launch(str(local_copy(page)))
