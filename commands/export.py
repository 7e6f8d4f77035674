"""`huse export`: a model or embeddings for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from huse.commands.options import (
    Place,
    argument,
    config_options,
    given,
    images_option,
    json_option,
    model_argument,
    moved_encoder_options,
    tell_unused,
)
from huse.commands.quiet import uses_tensorflow
from huse.commands.tables import show
from huse.extract.config import ExtractConfig
from huse.features.counted import counted


@click.group("export")
def command() -> None:
    """Hand a model or embeddings to other programs."""


@command.command()
@model_argument
@argument("out")
@click.option("--with-encoders", is_flag=True, help="Also take images' bytes and texts, where TensorFlow can.")
@config_options(ExtractConfig, "image_weights")
@moved_encoder_options
@json_option
@uses_tensorflow
def savedmodel(model: Path, out: Path, with_encoders: bool, as_json: bool, **encoders: Any) -> None:
    """Write MODEL as a TensorFlow SavedModel OUT, which needs no huse."""
    from huse.embed.export.savedmodel import export_savedmodel
    from huse.embed.model import load

    if not with_encoders:
        tell_unused("no --with-encoders is given", "image_encoder", "text_encoder", "image_weights")
    loaded = load(model, precision="float32", **given(encoders))
    endpoints = export_savedmodel(loaded, out, with_encoders)
    show(f"wrote {out} with {', '.join(endpoints)}", {"endpoints": endpoints}, as_json)


@command.command()
@model_argument
@click.argument("out", type=Place(dir_okay=False))
@json_option
@uses_tensorflow
def onnx(model: Path, out: Path, as_json: bool) -> None:
    """Write the towers of MODEL as an ONNX file OUT (extra [onnx])."""
    from huse.embed.export.onnx import export_onnx

    outputs = export_onnx(model, out)
    show(f"wrote {out} with {', '.join(outputs)}", {"outputs": outputs}, as_json)


@command.command()
@argument("embeddings")
@argument("out")
@images_option
@json_option
@uses_tensorflow
def projector(embeddings: Path, out: Path, images_folder: Path | None, as_json: bool) -> None:
    """Write EMBEDDINGS for TensorBoard's Projector: tensorboard --logdir OUT."""
    from huse.embed.export.projector import export_projector

    vectors = export_projector(embeddings, out, images_folder)
    show(f"{counted(vectors, 'vector')} in {out}; tensorboard --logdir {out}", {"vectors": vectors}, as_json)


@command.command()
@model_argument
@argument("out")
@click.option("--name", help="Of the model, as the card's title.  [default: the folder's]")
@click.option("--license", "license_", metavar="ID", help="License identifier for the card, such as apache-2.0.")
@click.option("--push", metavar="ORG/NAME", help="Bring it to this repository of the Hugging Face hub (extra [hub]).")
@click.option("--public", is_flag=True, help="Let all read the repository, if it is made now.")
@uses_tensorflow
def card(model: Path, out: Path, name: str | None, license_: str | None, push: str | None, public: bool) -> None:
    """Write MODEL and its card as a folder OUT, as a Hugging Face repository has it, and push it there.

    A repository that is not there is made, for its owner alone. HF_TOKEN, or hf auth login, says who may.
    """
    from huse.embed.export.card import export_card

    if push is None:
        tell_unused("no --push is given", "public")
    commit = export_card(model, out, name, license_, push, public)
    show(f"wrote {out}; pushed it: {commit}" if commit else f"wrote {out}; hf upload ORG/NAME {out} pushes it")
