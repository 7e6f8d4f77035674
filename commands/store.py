"""`huse store`: what is in a store, and stores in other shapes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from huse.commands.options import argument, config_options, given, json_option, separator_option, tell_unused
from huse.commands.tables import (
    failures_text,
    inspection_text,
    leaks_text,
    near_text,
    show,
    stores_text,
    verification_text,
)
from huse.extract.config import ExtractConfig
from huse.features.counted import counted


@click.group("store")
def command() -> None:
    """Look into a store of features or embeddings, take it apart, put it together, bring it in and out."""


@command.command()
@argument("store")
@json_option
def inspect(store: Path, as_json: bool) -> None:
    """What STORE holds: rows, encoders, splits, size."""
    from huse.features.inspection import inspect_store
    from huse.features.store import Store

    values = inspect_store(Store.open(store))
    show(inspection_text(values), values, as_json)


@command.command()
@argument("store")
@click.option("--parts", type=click.IntRange(1), metavar="N", help="Name the parts, of N, that are to run again.")
@json_option
def verify(store: Path, parts: int | None, as_json: bool) -> None:
    """Read every byte of STORE and check it; exit 1 when a file is damaged, missing or could not be read."""
    from huse.extract.parts import parts_to_run
    from huse.features.inspection import verification
    from huse.features.shards.names import shard_number
    from huse.features.store import Store

    opened = Store.open(store)
    found = verification(opened)
    wrong = found.problems | found.unread
    shards = {opened.shard_path(number).name for number in opened.shard_numbers()}
    shards |= {name for name in wrong if shard_number(name) is not None}
    again = {} if parts is None else {"parts": parts_to_run(found.problems, parts)}
    text = verification_text(len(shards), len(shards - set(wrong)), found)
    text += "".join(f"\nrun again: --part {part}/{parts}" for part in again.get("parts", ()))
    show(text, {"shards": len(shards), **asdict(found), **again}, as_json)
    if wrong:
        raise click.exceptions.Exit(1)


@command.command()
@argument("store")
@json_option
def failures(store: Path, as_json: bool) -> None:
    """List the rows of STORE that lost their image or text, and why."""
    from huse.features.inspection import list_failures
    from huse.features.store import Store

    found = list_failures(Store.open(store))
    show(failures_text(found), {"failures": [asdict(failure) for failure in found]}, as_json)


@command.command()
@argument("out")
@argument("stores", nargs=-1, required=True)
@json_option
def merge(out: Path, stores: tuple[Path, ...], as_json: bool) -> None:
    """Write the rows of STORES, of the same encoders, as one new store OUT."""
    from huse.features.exchange.merge_split import merge_stores

    rows = merge_stores(stores, out)
    show(f"{counted(rows, 'row')} of {counted(len(stores), 'store')} in {out}", {"rows": rows}, as_json)


@command.command()
@argument("store")
@argument("out")
@click.option("--parts", type=click.IntRange(1), help="So many stores of equal size.  [default: one store a split]")
@json_option
def split(store: Path, out: Path, parts: int | None, as_json: bool) -> None:
    """Write the rows of STORE as several stores in the folder OUT: one for each split, or equal parts."""
    from huse.features.exchange.merge_split import split_store

    written = split_store(store, out, parts or 0)
    show(stores_text(written, out), {"stores": written}, as_json)


@command.command("import")
@argument("store")
@click.option("--image", metavar="F", help="Image vectors, rows x dimension.")
@click.option("--text", metavar="F", help="Text vectors, rows x dimension.")
@click.option("--labels", metavar="F", help="Label paths, one a row; also a text file.")
@separator_option
@click.option("--keys", metavar="F", help="Unique keys; also a text file.  [default: the row number]")
@click.option("--split", metavar="F", help="train, val or test, one a row; also a text file.")
@click.option("--image-encoder", default="imported", show_default=True, metavar="NAME", help="What made --image.")
@click.option("--text-encoder", default="imported", show_default=True, metavar="NAME", help="What made --text.")
@click.option(
    "--dtype", type=click.Choice(["float16", "float32"]), default="float32", show_default=True, help="Stored type."
)
@config_options(ExtractConfig, "shard_size", "class_encoder")
@json_option
def import_(store: Path, class_encoder: str | None, as_json: bool, **options: Any) -> None:
    """Make STORE of features from elsewhere.

    F is a file .npy, .npz (as F:name), .mat (as F:variable), .h5 (as F:dataset) or .parquet (as F:column). Name the
    encoders, and huse refuses to mix their vectors with those of others.
    """
    from functools import partial

    from huse.extract.class_names import class_vectors
    from huse.extract.encoders import text_encoder
    from huse.features.exchange.interchange import import_store
    from huse.features.inspection import inspect_store
    from huse.features.modality import MODALITIES
    from huse.features.store import Store

    for modality in MODALITIES:
        if options[modality] is None:
            tell_unused(f"no --{modality} is given", f"{modality}_encoder")
    if options["labels"] is None:
        tell_unused("no --labels is given", "class_encoder", "label_separator")
    name = class_encoder or ExtractConfig.class_encoder
    encoder = None if name == "none" or options["labels"] is None else text_encoder(name)
    rows = import_store(store, **given(options), embed_classes=partial(class_vectors, encoder) if encoder else None)
    failed = inspect_store(Store.open(store))["failures"]
    told = f", {counted(failed, 'failure')}; huse store failures {store} lists all" if failed else ""
    show(f"{counted(rows, 'row')} in {store}{told}", {"rows": rows, "failures": failed}, as_json)


@command.command()
@argument("store")
@argument("out")
@json_option
def export(store: Path, out: Path, as_json: bool) -> None:
    """Write STORE for other programs: OUT is .npz, .mat or .parquet, or a folder for .npy and text files."""
    from huse.features.exchange.interchange import export_store

    rows = export_store(store, out)
    show(f"{counted(rows, 'row')} in {out}", {"rows": rows}, as_json)


@command.command()
@argument("store")
@click.option(
    "--near",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="COSINE",
    help="Also list pairs that are not equal and whose vectors have at least this cosine, such as 0.95.",
)
@click.option(
    "--most", type=click.IntRange(1), default=100, show_default=True, help="With --near, most pairs to list of each."
)
@json_option
def leaks(store: Path, near: float | None, most: int, as_json: bool) -> None:
    """List images and texts of STORE that stand in more than one split."""
    from huse.features.leaks import find_leaks
    from huse.features.modality import MODALITIES
    from huse.features.near_duplicates import find_near_duplicates
    from huse.features.store import Store

    if near is None:
        tell_unused("no --near is given", "most")
    opened = Store.open(store)
    found = find_leaks(opened)
    counts = {modality: sum(leak.modality == modality for leak in found) for modality in MODALITIES}
    values: dict[str, Any] = {"leaks": [asdict(leak) for leak in found], **counts}
    text = leaks_text(found, counts["image"], counts["text"])
    if near is not None:
        duplicates = find_near_duplicates(opened, near, most)
        values["near"] = {"cosine": near, **asdict(duplicates)}
        text += f"\n{near_text(duplicates, near)}"
    show(text, values, as_json)
