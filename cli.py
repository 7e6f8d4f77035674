"""The `huse` command: options in, one call, a table or --json out."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from functools import wraps
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from huse import __version__
from huse.features.errors import ExtractionError, HuseError
from huse.train.config import FitConfig
from huse.train.config import preset as preset_of

if TYPE_CHECKING:
    from huse.extract.config import ExtractConfig, ExtractSummary
    from huse.extract.manifest.rows import Columns

Command = TypeVar("Command", bound=Callable[..., Any])

FASTER = {
    "read": "more --workers, a nearer disk or smaller image files would make it faster",
    "encode": "a GPU, more of them, --precision bfloat16 or a smaller encoder would make it faster",
    "write": "a faster disk for the store would make it faster",
}
"""What to change about each bottleneck of stage 1."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

MANY_FAILURES = 10
"""Failures that a summary names; the others are counted."""

taxonomy_option = click.option(
    "--taxonomy",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Tree of classes for HP@K, child,parent CSV or JSON.  [default: the label paths]",
)
image_weights_option = click.option(
    "--image-weights",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keras weights file of the image encoder, in place of the bundled one.",
)
images_option = click.option(
    "--images",
    "images_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where relative image paths start from.  [default: the folder that EMBEDDINGS lies in]",
)
semantic_graph_option = click.option(
    "--semantic-graph",
    default="auto",
    show_default=True,
    metavar="auto|names|taxonomy|FILE.npy",
    help="Class distances: from their names, else the tree of the label paths, else all classes equally far.",
)
index_option = click.option(
    "--index",
    type=click.Choice(["auto", "exact", "hnsw", "ivfpq"]),
    default="auto",
    show_default=True,
    help="Compare with all rows, or by an index (extra [search]); auto is exact up to a million rows.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")


class HuseGroup(click.Group):
    """Turns the errors huse raises on purpose, and those of files and disks, into one line and exit code 1."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Reads the options; --help and --version print in here."""
        with _one_line_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; --debug lets the traceback through."""
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        with _one_line_errors():
            return super().invoke(ctx)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        click.echo("Interrupted; nothing half-written is left", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from error
    except BrokenPipeError:  # the reader of the output has what it wants
        raise
    except (HuseError, OSError, MemoryError) as error:
        if isinstance(error, OSError) and _is_of_printing(error):
            error.filename = "standard output"
            _drop_output()
        raise click.ClickException(_one_line(error)) from error


def _is_of_printing(error: OSError) -> bool:
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals.get("__name__") == click.utils.__name__


def _drop_output() -> None:
    """Sends nowhere what could not be printed, which the interpreter would try again at its end."""
    with suppress(OSError, ValueError):  # a standard output that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _one_line(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "out of memory; give smaller batches or shards, or close other programs"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return " ".join(str(error).split("\n")) or type(error).__name__


@click.group(cls=HuseGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="huse")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Images, texts and classes in one semantic space (HUSE, arXiv 1911.05978).

    \b
    huse extract MANIFEST STORE      frozen encoders, once, into HDF5 shards
    huse fit STORE MODEL             train the shared towers on the cached vectors
    huse evaluate MODEL STORE        accuracy and retrieval
    huse embed MODEL SOURCE OUT      new or cached rows into the space
    huse search MODEL OUT --text ""  the nearest images or texts
    """  # noqa: D301 - click's mark is the backspace itself
    import warnings

    if isinstance(sys.stdout, TextIOWrapper):  # a name that it has no letters for costs its letters, not the command
        sys.stdout.reconfigure(errors="backslashreplace")
    if not debug:
        warnings.showwarning = lambda message, *_, **__: click.echo(f"Warning: {message}", err=True)


@contextmanager
def _muted_stderr() -> Iterator[None]:
    """Sends what native code writes to standard error nowhere."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def uses_tensorflow(command: Command) -> Command:
    """Loads TensorFlow before the command, without the notices it prints before its log level counts."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        root = click.get_current_context().find_root()
        if root.params.get("debug"):
            return command(*args, **kwargs)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _muted_stderr():
            import tensorflow

            tensorflow.get_logger().setLevel("ERROR")  # its advice on retracing is for programmers
        return command(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


def moved_encoder_options(command: Command) -> Command:
    """The options that say where the encoders of a model are now."""
    for modality in ("text", "image"):
        command = click.option(
            f"--{modality}-encoder",
            metavar="NAME",
            help=f"The model's {modality} encoder, if it has moved, or runs code from outside huse, as hub:FOLDER.",
        )(command)
    return command


def model_encoder_options(command: Command) -> Command:
    """The options by which a model's encoders are made, named as the arguments of `huse.load`."""
    return image_weights_option(moved_encoder_options(command))


def column_options(command: Command) -> Command:
    """The options that name the manifest's columns, and what parts its labels."""
    command = click.option(
        "--label-separator",
        default="/",
        show_default=True,
        metavar="TEXT",
        help="What stands between the levels of a label, such as ' > '; '' when labels have no levels.",
    )(command)
    for name in ("key", "split", "label", "text", "image"):
        flag = f"--{name}-column"
        command = click.option(flag, default=name, show_default=True, metavar="NAME", help=f"Column of the {name}.")(
            command
        )
    return command


max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=178_956_970,
    show_default=True,
    help="Most pixels of an image; larger ones fail undecoded.",
)


def stage_one_options(command: Command) -> Command:
    """The options of how encoders run, the same for every command that may run them."""
    for option in (
        click.option(
            "--max-failure-rate",
            type=click.FloatRange(0, 1),
            help="Exit 1 when a larger share of rows failed.  [default: 0.1, not judged below 10 failures]",
        ),
        click.option(
            "--on-error",
            type=click.Choice(["skip", "fail"]),
            default="skip",
            show_default=True,
            help="Keep a bad row as a failure, or stop at the first.",
        ),
        click.option("--retry-failed", is_flag=True, help="Take failed and new rows only, the others unread."),
        click.option("--recover-truncated", is_flag=True, help="Decode what there is of a JPEG that was cut off."),
        max_pixels_option,
        click.option("--workers", type=click.IntRange(0), default=0, help="Reading threads.  [default: two a core]"),
        click.option(
            "--precision",
            type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
            default="auto",
            show_default=True,
            help="Arithmetic of the image encoder; auto is bfloat16 where the hardware has it.",
        ),
        click.option(
            "--batch-size",
            type=click.IntRange(1),
            help="Images a batch, over all GPUs; VGG16 on a processor takes multiples of 16.  "
            "[default: 256 a GPU, 32 without]",
        ),
        image_weights_option,
    ):
        command = option(command)
    return command


def hyperparameter_options(command: Command) -> Command:
    """One option for each field of `FitConfig`; those not given are None and keep the value of the preset."""
    for option in reversed([f for f in fields(FitConfig) if f.metadata]):
        flag = f"--{option.name.replace('_', '-')}"
        kind: Any = type(option.default)
        if kind is bool:
            flag, kind = f"{flag}/--no{flag[1:]}", None
        elif option.metadata["choices"]:
            kind = click.Choice(option.metadata["choices"])
        shown = f"{option.metadata['help']}  [default: {_shown(option.default)}]"
        command = click.option(flag, option.name, type=kind, default=None, help=shown)(command)
    return command


def _shown(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _tell_unused(why: str, *names: str) -> None:
    """Warns of those of a command's parameters that were given, and have nothing to act on."""
    from huse.features.unused import tell_unused

    context = click.get_current_context()
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    tell_unused(why, given)


@main.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--image-encoder", default="vgg16", show_default=True, metavar="NAME", help="One of huse encoders.")
@click.option("--text-encoder", default="use", show_default=True, metavar="NAME", help="One of huse encoders.")
@click.option(
    "--class-encoder",
    default="use",
    show_default=True,
    metavar="NAME",
    help="Text encoder of the class names, for the semantic graph; none leaves them out.",
)
@click.option(
    "--salient-tokens",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Keep the N most salient tokens of long texts.  [default: all]",
)
@click.option("--shard-size", type=click.IntRange(1), default=10_000, show_default=True, help="Rows a shard.")
@click.option(
    "--dtype", type=click.Choice(["float16", "float32"]), default="float16", show_default=True, help="Stored type."
)
@click.option("--compression", type=click.Choice(["lzf", "gzip"]), help="Of the shards; pays for sparse vectors only.")
@click.option(
    "--class-text",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Table with columns label and text: descriptions to embed in place of the class names.",
)
@click.option(
    "--part",
    callback=lambda _, __, value: _part(value),
    default="1/1",
    metavar="I/N",
    help="One of N runs that fill STORE together, at once or one after the other.  [default: all of it]",
)
@click.option("--overwrite", is_flag=True, help="Delete the store that is there, and begin anew.")
@click.option("--yes", is_flag=True, help="Do not ask before deleting.")
@stage_one_options
@column_options
@json_option
@uses_tensorflow
def extract(manifest: Path, store: Path, overwrite: bool, yes: bool, as_json: bool, **options: Any) -> None:
    """Run the frozen encoders over MANIFEST and cache their vectors in STORE.

    MANIFEST is a table with columns image, text, label, split and key, of which image or text must be there: CSV, TSV
    or JSON lines, each also .gz, or Parquet. Or it is a folder of images, whose sub-folders are their labels.
    Running it again continues an interrupted run, and brings the store to a manifest that has changed.
    """
    from huse.extract.extract import extract_features

    config, columns = _stage_one(options)
    if overwrite and (store / "store.json").exists() and not yes:
        click.confirm(f"Delete the store {store} and all its vectors?", abort=True, err=True)
    try:
        summary = extract_features(manifest, store, config, columns, overwrite)
    except ExtractionError as error:
        if not as_json:
            _show_extract(error.summary, store)
        raise
    _print(as_json, _extract_json(summary), lambda: _show_extract(summary, store))


@main.command()
@json_option
def encoders(as_json: bool) -> None:
    """List the encoders: name, modality, dimension, where the weights come from, and the extra that some need."""
    from huse.extract.encoders.registry import listed

    known = listed()
    _print(as_json, {"encoders": known}, lambda: click.echo(_columns(known)))


@main.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--preset", type=click.Choice(["default", "paper"]), default="default", show_default=True, help="Where to start."
)
@semantic_graph_option
@hyperparameter_options
@click.option("--overwrite", is_flag=True, help="Replace a model that is there.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of an interrupted fit.")
@click.option(
    "--tensorboard",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Log losses, retrieval and the space there, for tensorboard --logdir DIR.",
)
@json_option
@uses_tensorflow
def fit(
    store: Path,
    model: Path,
    preset: str,
    semantic_graph: str,
    overwrite: bool,
    resume: bool,
    tensorboard: Path | None,
    as_json: bool,
    **changes: Any,
) -> None:
    """Train the shared HUSE towers on the vectors in STORE and save them as MODEL.

    Options that are not given keep the value of the preset; the defaults shown are those of the preset `default`.
    """
    from huse.train.fit import fit_model

    chosen = preset_of(preset, **{name: value for name, value in changes.items() if value is not None})
    summary = fit_model(store, model, chosen, semantic_graph, overwrite, resume, tensorboard)
    _print(as_json, asdict(summary), lambda: _show_fit(asdict(summary), model))


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--split", type=click.Choice(["train", "val", "test", "all"]), default="test", show_default=True, help="Which rows."
)
@taxonomy_option
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write DIR/index.html with a table of classes and what is confused with what.",
)
@json_option
@uses_tensorflow
def evaluate(model: Path, store: Path, split: str, taxonomy: Path | None, report: Path | None, as_json: bool) -> None:
    """Measure MODEL on the labeled rows of STORE: accuracy, and retrieval in four directions."""
    from huse.train.evaluation.evaluate import evaluate_model, figures_table

    result = evaluate_model(model, store, split, taxonomy, report)
    _print(as_json, result, lambda: click.echo(figures_table(result)))


@main.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("compare"), show_default=True, help="For tables.")
@click.option("--objectives", metavar="A,B,...", help="Some of the methods.  [default: all that STORE allows]")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Runs a tuned method.")
@click.option("--trials", type=click.IntRange(1), default=3, show_default=True, help="Configurations tried a method.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training rows, for every method.")
@semantic_graph_option
@taxonomy_option
@json_option
@uses_tensorflow
def compare(
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
    measured on the test rows. Methods: posterior, separate, triplet, cme, adamine, devise, hie, huse-p, huse-paper,
    huse.
    """
    from huse.train.compare.compare import compare as run

    chosen = tuple(name.strip() for name in objectives.split(",")) if objectives else None
    changes = {"epochs": epochs} if epochs else None
    results = run(store, out, chosen, seeds, trials, taxonomy, changes, semantic_graph)
    _print(as_json, results, lambda: click.echo((out / "tables.md").read_text(encoding="utf-8")))


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--fuse", is_flag=True, help="One vector a row, along the sum of its two; OUT is then a file.")
@click.option("--overwrite", is_flag=True, help="Embed all rows anew, also over another model's; keeps OUT/features.")
@stage_one_options
@moved_encoder_options
@column_options
@json_option
@uses_tensorflow
def embed(
    model: Path,
    source: Path,
    out: Path,
    fuse: bool,
    overwrite: bool,
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

    config, columns = _stage_one(options)
    loaded = load(model, config.image_weights, config.precision, image_encoder, text_encoder)
    summary = embed_source(loaded, source, out, config, columns, fuse, overwrite)
    values: dict[str, Any] = {"rows": summary.rows, "embedded": summary.embedded, "seconds": summary.seconds}
    if summary.extract:
        values["extract"] = _extract_json(summary.extract)

    def show() -> None:
        if summary.extract:
            _show_extract(summary.extract, summary.store / "features")
        click.echo(
            f"{summary.rows} rows in {out}, {summary.embedded} of them embedded now, "
            f"{summary.seconds:.1f} s, {summary.rows_per_s:,.0f} rows/s"
        )

    _print(as_json, values, show)


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("embeddings", type=click.Path(path_type=Path))
@click.option("--text", "texts", multiple=True, metavar="WORDS", help="What to search for; may be given several times.")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(path_type=Path),
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
@click.option("--open", "open_page", is_flag=True, help="Write a page with the images, and open it in a browser.")
@images_option
@max_pixels_option
@model_encoder_options
@json_option
@uses_tensorflow
def search(
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
    as_json: bool,
    **encoders: Any,
) -> None:
    """Find the rows of EMBEDDINGS nearest to texts and images."""
    if not texts and not images:
        raise click.UsageError("give --text or --image")
    if not images:
        _tell_unused("no --image is given", "image_encoder", "image_weights", "max_pixels")
    if not texts:
        _tell_unused("no --text is given", "text_encoder")
    if not open_page:
        _tell_unused("no --open is given", "images_folder")
    from huse.embed.draw.hits_page import place_of_hits_page, write_hits_page
    from huse.embed.model import load
    from huse.embed.search.search import search_embeddings

    page = place_of_hits_page(embeddings) if open_page else None
    found = search_embeddings(
        load(model, **encoders),
        embeddings,
        texts=texts,
        images=images,
        k=k,
        gallery=gallery,
        classes=classes,
        index=index,
    )
    queries = [*texts, *map(str, images)]
    results = [{"query": q, "hits": [asdict(hit) for hit in hits]} for q, hits in zip(queries, found, strict=True)]
    _print(as_json, {"results": results}, lambda: click.echo(results_table(results)))
    if page is not None:
        write_hits_page(page, queries, found, images_folder or embeddings.parent)
        if not as_json:
            click.echo(f"wrote {page}")
        click.launch(str(page))


@main.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--graph", is_flag=True, help="SOURCE is a model: its semantic graph against its class distances.")
@click.option("--history", is_flag=True, help="SOURCE is a model: its losses and validation score by epoch.")
@click.option("--split", type=click.Choice(["train", "val", "test"]), help="Only rows of this split.  [default: all]")
@click.option(
    "--projection",
    type=click.Choice(["auto", "umap", "tsne", "pca"]),
    default="auto",
    show_default=True,
    help="Projection; auto is UMAP where it is installed (extra [plot]), else t-SNE, and PCA for many points.",
)
@click.option("--thumbnails/--points", default=None, help="Draw images, or rings.  [default: images if they are few]")
@click.option("--seed", default=0, show_default=True, help="Of the projection.")
@images_option
@uses_tensorflow
def plot(
    source: Path,
    out: Path,
    graph: bool,
    history: bool,
    split: str | None,
    projection: str,
    thumbnails: bool | None,
    seed: int,
    images_folder: Path | None,
) -> None:
    """Draw the embeddings SOURCE as a map, OUT.png or OUT.html; or with --graph or --history what a model learned.

    The page OUT.html opens without a network, and shows an image or text under the pointer.
    """
    if graph and history:
        raise click.UsageError("give --graph or --history")
    if graph or history:
        _tell_unused("no map is drawn", "split", "projection", "thumbnails", "seed", "images_folder")
    if graph:
        _plot_graph(source, out)
    elif history:
        from huse.embed.draw.model_plots import plot_history

        plot_history(source, out)
    else:
        from huse.embed.draw.plot import plot_map

        plot_map(
            source, out, split=split, projection=projection, thumbnails=thumbnails, folder=images_folder, seed=seed
        )
    click.echo(f"wrote {out}")


@uses_tensorflow
def _plot_graph(model: Path, out: Path) -> None:
    from huse.embed.draw.model_plots import plot_graph

    correlation = plot_graph(model, out)
    click.echo(f"rank correlation of semantic and learned distances: {correlation:.3f}")


@main.group()
def export() -> None:
    """Hand a model or embeddings to other programs."""


@export.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--with-encoders", is_flag=True, help="Also take images' bytes and texts, where TensorFlow can.")
@model_encoder_options
@json_option
@uses_tensorflow
def savedmodel(
    model: Path,
    out: Path,
    with_encoders: bool,
    as_json: bool,
    **encoders: Any,
) -> None:
    """Write MODEL as a TensorFlow SavedModel OUT, which needs no huse."""
    from huse.embed.export.savedmodel import export_savedmodel
    from huse.embed.model import load

    if not with_encoders:
        _tell_unused("no --with-encoders is given", "image_encoder", "text_encoder", "image_weights")
    loaded = load(model, precision="float32", **encoders)
    endpoints = export_savedmodel(loaded, out, with_encoders)
    _print(as_json, {"endpoints": endpoints}, lambda: click.echo(f"wrote {out} with {', '.join(endpoints)}"))


@export.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@uses_tensorflow
def onnx(model: Path, out: Path, as_json: bool) -> None:
    """Write the towers of MODEL as an ONNX file OUT (extra [onnx])."""
    from huse.embed.export.onnx import export_onnx

    outputs = export_onnx(model, out)
    _print(as_json, {"outputs": outputs}, lambda: click.echo(f"wrote {out} with {', '.join(outputs)}"))


@export.command()
@click.argument("embeddings", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@images_option
@json_option
@uses_tensorflow
def projector(embeddings: Path, out: Path, images_folder: Path | None, as_json: bool) -> None:
    """Write EMBEDDINGS for TensorBoard's Projector: tensorboard --logdir OUT."""
    from huse.embed.export.projector import export_projector

    vectors = export_projector(embeddings, out, images_folder)
    _print(as_json, {"vectors": vectors}, lambda: click.echo(f"{vectors} vectors in {out}; tensorboard --logdir {out}"))


@export.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--name", help="Of the model, as the card's title.  [default: the folder's]")
@click.option("--license", "license_", metavar="ID", help="License identifier for the card, such as apache-2.0.")
@uses_tensorflow
def card(model: Path, out: Path, name: str | None, license_: str | None) -> None:
    """Write MODEL and its card as a folder OUT that can be pushed to a Hugging Face repository."""
    from huse.embed.export.card import export_card

    export_card(model, out, name, license_)
    click.echo(f"wrote {out}; huggingface-cli upload OWNER/NAME {out} pushes it")


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("embeddings", type=click.Path(path_type=Path))
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
@images_option
@model_encoder_options
@max_pixels_option
@uses_tensorflow
def serve(
    model: Path,
    embeddings: Path,
    host: str,
    port: int,
    max_upload: float,
    max_upload_pixels: int,
    index: str,
    images_folder: Path | None,
    **encoders: Any,
) -> None:
    """Serve a page that searches EMBEDDINGS by words and images, and a JSON API, described under /docs.

    Only images that EMBEDDINGS names are served, and nothing but images. There is no login: beyond this machine,
    put a server with one before it.
    """
    from huse.embed.model import load
    from huse.embed.serve.searcher import Searcher
    from huse.features.extras import require

    for module in ("fastapi", "python_multipart", "swagger_ui_bundle", "uvicorn"):
        require(module, "app", "huse serve")
    from huse.embed.serve.serve import run_server

    loaded = load(model, **encoders)
    searcher = Searcher(loaded, embeddings, images_folder, index)
    run_server(searcher, host, port, int(max_upload * 2**20), click.echo, max_upload_pixels)


@main.group()
def store() -> None:
    """Look into a store of features or embeddings, take it apart, put it together, bring it in and out."""


@store.command()
@click.argument("store", type=click.Path(path_type=Path))
@json_option
def inspect(store: Path, as_json: bool) -> None:
    """What STORE holds: rows, encoders, splits, size."""
    from huse.features.store import Store

    values = Store.open(store).inspect()
    _print(as_json, values, lambda: click.echo(_inspect_table(values)))


@store.command()
@click.argument("store", type=click.Path(path_type=Path))
@json_option
def verify(store: Path, as_json: bool) -> None:
    """Read every byte of STORE and check it; exit 1 when a shard is damaged or missing."""
    from huse.features.store import Store

    opened = Store.open(store)
    problems = opened.verify()
    shards = {opened.shard_path(index).name for index in opened.shard_indices()}
    shards |= {name for name in problems if name.startswith("shard-")}
    lines = [*problems.values(), f"{len(shards - set(problems))} of {len(shards)} shards are whole"]
    _print(as_json, {"shards": len(shards), "problems": problems}, lambda: click.echo("\n".join(lines)))
    if problems:
        sys.exit(1)


@store.command()
@click.argument("store", type=click.Path(path_type=Path))
@json_option
def failures(store: Path, as_json: bool) -> None:
    """List the rows of STORE that lost their image or text, and why."""
    from huse.features.store import Store

    found = [asdict(failure) for failure in Store.open(store).failures()]
    lines = [f"{f['key']}\t{f['stage']}\t{f['reason']}" for f in found] or ["no failures"]
    _print(as_json, {"failures": found}, lambda: click.echo("\n".join(lines)))


@store.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("stores", type=click.Path(path_type=Path), nargs=-1, required=True)
@json_option
def merge(out: Path, stores: tuple[Path, ...], as_json: bool) -> None:
    """Write the rows of STORES, of the same encoders, as one new store OUT."""
    from huse.features.exchange.merge_split import merge_stores

    rows = merge_stores(stores, out)
    _print(as_json, {"rows": rows}, lambda: click.echo(f"{rows} rows of {len(stores)} stores in {out}"))


@store.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--parts", type=click.IntRange(1), help="So many stores of equal size.  [default: one store a split]")
@json_option
def split(store: Path, out: Path, parts: int | None, as_json: bool) -> None:
    """Write the rows of STORE as several stores in the folder OUT: one for each split, or equal parts."""
    from huse.features.exchange.merge_split import split_store

    written = split_store(store, out, parts or 0)
    lines = [f"{rows} rows in {out / name}" for name, rows in written.items()]
    _print(as_json, {"stores": written}, lambda: click.echo("\n".join(lines)))


@store.command("import")
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--image", metavar="F", help="Image vectors, rows x dimension.")
@click.option("--text", metavar="F", help="Text vectors, rows x dimension.")
@click.option("--labels", metavar="F", help="Label paths, one a row; also a text file.")
@click.option("--keys", metavar="F", help="Unique keys; also a text file.  [default: the row number]")
@click.option("--split", metavar="F", help="train, val or test, one a row; also a text file.")
@click.option("--image-encoder", default="imported", show_default=True, metavar="NAME", help="What made --image.")
@click.option("--text-encoder", default="imported", show_default=True, metavar="NAME", help="What made --text.")
@click.option("--shard-size", type=click.IntRange(1), default=10_000, show_default=True, help="Rows a shard.")
@click.option(
    "--dtype", type=click.Choice(["float16", "float32"]), default="float32", show_default=True, help="Stored type."
)
@click.option(
    "--class-encoder",
    default="use",
    show_default=True,
    metavar="NAME",
    help="Text encoder of the class names, for the semantic graph of huse fit; none leaves them out.",
)
@json_option
def import_(store: Path, class_encoder: str, as_json: bool, **options: Any) -> None:
    """Make STORE of features from elsewhere.

    F is a file .npy, .npz (as F:name), .mat (as F:variable) or .parquet (as F:column). Name the encoders, and huse
    refuses to mix their vectors with those of others.
    """
    from functools import partial

    from huse.extract.class_names import class_vectors
    from huse.extract.encoders import text_encoder
    from huse.features.exchange.interchange import import_store
    from huse.features.store import Store

    for modality in ("image", "text"):
        if options[modality] is None:
            _tell_unused(f"no --{modality} is given", f"{modality}_encoder")
    if options["labels"] is None:
        _tell_unused("no --labels is given", "class_encoder")
    encoder = None if class_encoder == "none" or options["labels"] is None else text_encoder(class_encoder)
    rows = import_store(store, **options, embed_classes=partial(class_vectors, encoder) if encoder else None)
    failures = Store.open(store).inspect()["failures"]
    told = f", {failures} failures; huse store failures {store} lists them" if failures else ""
    _print(as_json, {"rows": rows, "failures": failures}, lambda: click.echo(f"{rows} rows in {store}{told}"))


@store.command("export")
@click.argument("store", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@json_option
def store_export(store: Path, out: Path, as_json: bool) -> None:
    """Write STORE for other programs: OUT is .npz, .mat or .parquet, or a folder for .npy and text files."""
    from huse.features.exchange.interchange import export_store

    rows = export_store(store, out)
    _print(as_json, {"rows": rows}, lambda: click.echo(f"{rows} rows in {out}"))


@store.command()
@click.argument("store", type=click.Path(path_type=Path))
@json_option
def leaks(store: Path, as_json: bool) -> None:
    """List images and texts of STORE that stand in more than one split."""
    from huse.features.leaks import find_leaks
    from huse.features.store import Store

    found = find_leaks(Store.open(store))
    lines = [f"{leak.modality}\t" + "\t".join(f"{key} ({where})" for key, where in leak.rows) for leak in found]
    counts = {m: sum(leak.modality == m for leak in found) for m in ("image", "text")}
    lines.append(f"{counts['image']} images and {counts['text']} texts stand in more than one split")
    values = {"leaks": [asdict(leak) for leak in found], **counts}
    _print(as_json, values, lambda: click.echo("\n".join(lines)))


@main.command()
@click.argument("path", required=False, metavar="[STORE | MODEL | EMBEDDINGS]", type=click.Path(path_type=Path))
@json_option
@uses_tensorflow
def doctor(path: Path | None, as_json: bool) -> None:
    """Tell what this machine has and what a run would use; check every file of a store, a model or embeddings."""
    from huse.doctor.artefact import examine
    from huse.doctor.environment import examine_environment

    examined = examine(path) if path else None
    environment = examine_environment(Path.cwd())
    findings = [*environment.findings, *(examined.findings if examined else [])]
    values: dict[str, Any] = {"environment": environment.values, "findings": [asdict(f) for f in findings]}
    if examined:
        values |= {"path": str(examined.path), "kind": examined.kind, "contents": examined.contents}
    _print(as_json, values, lambda: click.echo("\n".join(_doctor_lines(values))))
    if findings:
        raise click.exceptions.Exit(1)


def _doctor_lines(values: dict[str, Any]) -> Iterator[str]:
    there = values["environment"]
    packages = ", ".join(f"{name} {version or 'missing'}" for name, version in there["packages"].items())
    yield f"huse {there['huse']}, Python {there['python']}, {there['system']}"
    yield f"packages     {packages}"
    yield f"devices      {', '.join(there['devices'])}; {there['cores']} cores, {there['memory_gib']} GiB of memory"
    native = "native" if there["native_bfloat16"] else "not native"
    amx = "with AMX" if there["amx"] else "no AMX"
    yield f"arithmetic   bfloat16 {native}, {amx}; --precision auto is {there['precision_auto']}"
    yield f"convolution  {there['convolution']}"
    yield f"disk         {there['free_disk_gib']} GiB free here"
    for extra, missing in sorted(there["extras"].items()):
        lacks = f"lacks {', '.join(missing)}: pip install 'huse[{extra}]'" if missing else "there"
        yield f"extra        {extra}: {lacks}"
    for name, digest in there["weights"].items():
        yield f"weights      {name}: {digest[:12]}"
    if "path" in values:
        yield f"{values['path']}: {values['kind']}, {values['contents']}"
    for finding in values["findings"]:
        yield f"wrong        {finding['where']}: {finding['what']}"
        if finding["command"]:
            yield f"             type: {finding['command']}"
    yield "nothing is wrong" if not values["findings"] else f"{len(values['findings'])} things are wrong"


@main.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("huse-demo"),
    show_default=True,
    help="Folder for everything the demo makes.",
)
@json_option
@uses_tensorflow
def demo(out: Path, as_json: bool) -> None:
    """Run every stage on 1,911 bundled emoji: extract, fit, evaluate, embed, search, and draw the space."""
    from huse.demo.run import run_demo

    say = (lambda _: None) if as_json else click.echo
    result = run_demo(out, say)
    if as_json:
        click.echo(_json(result))


def results_table(results: list[dict[str, Any]]) -> str:
    """Search hits as text, nearest first, each query's under its name when there are several."""
    tables = [hits_table(result["hits"]) for result in results]
    if len(tables) == 1:
        return tables[0]
    return "\n\n".join(f"{result['query']}\n{table}" for result, table in zip(results, tables, strict=True))


def hits_table(hits: list[dict[str, Any]]) -> str:
    """Hits of one query as text."""
    width = max((len(hit["key"]) for hit in hits), default=0)
    return "\n".join(f"{h['score']:6.3f}  {h['key']:<{width}}  {h['label']}  {h['caption'][:60]}" for h in hits)


def _columns(rows: list[dict[str, str]]) -> str:
    """Rows of strings as aligned text under their names."""
    table = [list(rows[0]), *([*row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in table)


def _print(as_json: bool, values: dict[str, Any], show: Callable[[], None]) -> None:
    if as_json:
        click.echo(_json(values))
    else:
        show()


def _json(values: dict[str, Any]) -> str:
    """Readable where the standard output has the letters, else escaped."""
    text = json.dumps(values, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(values)
    return text


def _stage_one(options: dict[str, Any]) -> tuple[ExtractConfig, Columns]:
    from huse.extract.config import ExtractConfig
    from huse.extract.manifest.rows import Columns

    columns = {name: options.pop(f"{name}_column") for name in ("image", "text", "label", "split", "key")}
    separator = options.pop("label_separator")
    given = {name: value for name, value in options.items() if value is not None}
    return ExtractConfig(**given), Columns(**columns, label_separator=separator)


def _part(value: str) -> tuple[int, int]:
    part, _, parts = value.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise click.BadParameter(f"{value!r} is not I/N with I from 1 to N, such as 1/4")
    return int(part), int(parts)


def _extract_json(summary: ExtractSummary) -> dict[str, Any]:
    figures = {name: value for name, value in asdict(summary).items() if name not in ("failed", "failures")}
    return {**figures, "failures": summary.failed, "rows_per_s": summary.rows_per_s, "bottleneck": summary.bottleneck}


def _show_extract(summary: ExtractSummary, store: Path) -> None:
    named = summary.failures[:MANY_FAILURES]
    for failure in named:
        click.echo(f"failed: {failure.key}: {failure.reason}")
    more = summary.failed + summary.not_reread - len(named)
    if more > 0:
        click.echo(f"failed: {more} more, listed by huse store failures {store}")
    click.echo(
        f"{summary.rows} rows in {store}: {summary.encoded} encoded, {summary.reused} kept, "
        f"{summary.not_reread} not re-read, {summary.failed} failures, {summary.seconds:.1f} s, "
        f"{summary.rows_per_s:.1f} rows/s"
    )
    click.echo(
        f"time spent: {summary.seconds_encode:.1f} s encoding, {summary.seconds_read:.1f} s waiting for images, "
        f"{summary.seconds_write:.1f} s waiting for the disk"
    )
    if summary.bottleneck:
        click.echo(f"bottleneck: {summary.bottleneck}; {FASTER[summary.bottleneck]}")


def _show_fit(summary: dict[str, Any], model: Path) -> None:
    again = ", then fitted on all training rows" if summary["refit"] else ""
    click.echo(
        f"{summary['train_rows']} training and {summary['val_rows']} validation rows of {summary['classes']} classes; "
        f"semantic graph: {summary['semantic_graph']}; "
        f"best epoch {summary['best_epoch']} of {summary['epochs']}{again}; {summary['seconds']:.1f} s"
    )
    if summary["metrics"]:
        from huse.train.evaluation.evaluate import figures_table

        click.echo(figures_table({"rows": summary["val_rows"], "split": "val", **summary["metrics"]}))
    click.echo(f"saved {model}")


def _inspect_table(values: dict[str, Any]) -> str:
    shown = dict(values)
    for modality in ("image", "text"):
        spec = values[modality]
        shown[modality] = f"{spec['name']}, {spec['dimension']}-d, {spec['fingerprint']}" if spec else "none"
    shown["bytes"] = f"{values['bytes']:,}"
    shown["splits"] = ", ".join(f"{name} {count}" for name, count in values["splits"].items())
    shown["compression"] = values["compression"] or "none"
    return "\n".join(f"{name.replace('_', ' '):<12} {value}" for name, value in shown.items())
