"""`huse serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from huse.commands.options import (
    argument,
    config_options,
    given,
    images_option,
    index_option,
    model_argument,
    moved_encoder_options,
    rescore_option,
)
from huse.commands.quiet import uses_tensorflow
from huse.commands.tables import show
from huse.extract.config import ExtractConfig


@click.command("serve")
@model_argument
@argument("embeddings")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes a free one.")
@click.option("--max-upload", type=click.FloatRange(0.001), default=20.0, show_default=True, help="MiB of an image.")
@click.option(
    "--max-upload-pixels",
    type=click.IntRange(1),
    default=40_000_000,
    show_default=True,
    help="Pixels of an image that is sent; larger ones are refused undecoded.",
)
@index_option
@rescore_option
@images_option
@config_options(ExtractConfig, "image_weights", "max_pixels")
@moved_encoder_options
@uses_tensorflow
def command(
    model: Path,
    embeddings: Path,
    host: str,
    port: int,
    max_upload: float,
    max_upload_pixels: int,
    index: str,
    rescore: Path | None,
    images_folder: Path | None,
    **encoders: Any,
) -> None:
    """Serve a page that searches EMBEDDINGS by words and images, and a JSON API, described under /docs.

    Only images that EMBEDDINGS names are served, and nothing but images. There is no login: beyond this machine,
    put a server with one before it, and have it pass on the Host that it is called by.
    """
    from huse.embed.model import load
    from huse.embed.serve.searcher import Searcher
    from huse.features.extras import require

    for module in ("fastapi", "python_multipart", "swagger_ui_bundle", "uvicorn"):
        require(module, "app", "huse serve")
    from huse.embed.serve.serve import run_server

    loaded = load(model, **given(encoders))
    searcher = Searcher(loaded, embeddings, images_folder, index, rescore)
    run_server(searcher, host, port, int(max_upload * 2**20), show, max_upload_pixels)
