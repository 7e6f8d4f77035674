"""Every command with rubbish in every place: done, or one line that says what is wrong; never a traceback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import keras
import numpy as np
import pytest
from click.testing import CliRunner, Result
from samples import random_store, write_csv
from shared import Shared

from huse.cli import main
from huse.embed.embed import embed_source
from huse.extract.config import ExtractConfig
from huse.extract.extract import extract_features
from huse.train.config import FitConfig
from huse.train.fit import fit_model

COMMANDS = {
    "extract": "extract {manifest.csv} {absent} --text-encoder tfidf:4 --class-encoder none",
    "extract-class-text": "extract {manifest.csv} {absent} --text-encoder tfidf:4 "
    "--class-encoder none --class-text {table.csv}",
    "fit": "fit {store} {absent} --epochs 1 --no-refit --hidden-units 4 --dimension 4",
    "fit-graph": "fit {store} {absent} --epochs 1 --no-refit --hidden-units 4 --dimension 4 "
    "--semantic-graph {graph.npy}",
    "evaluate": "evaluate {model} {store} --taxonomy {taxonomy.csv} --report {absent}",
    "compare": "compare {store} --out {absent} --objectives posterior --seeds 1 --trials 1 --epochs 1",
    "embed": "embed {model} {store} {absent}",
    "embed-fuse": "embed {model} {store} {absent.npy} --fuse",
    "search": "search {words-model} {words-embeddings} --text a1",
    "plot": "plot {embeddings} {absent.png} --projection pca --points --images {folder}",
    "plot-graph": "plot {model} {absent.png} --graph --embeddings {embeddings}",
    "plot-history": "plot {model} {absent.png} --history",
    "export-savedmodel": "export savedmodel {model} {absent}",
    "export-projector": "export projector {embeddings} {absent} --images {folder}",
    "export-card": "export card {model} {absent}",
    "serve": "serve {model} {embeddings} --images {folder}",
    "store-inspect": "store inspect {store}",
    "store-verify": "store verify {store}",
    "store-failures": "store failures {store}",
    "store-leaks": "store leaks {store}",
    "store-merge": "store merge {absent} {store}",
    "store-split": "store split {store} {absent}",
    "store-import": "store import {absent} --image {array.npy} --labels {lines.txt} --keys {keys.txt} "
    "--split {lines.txt} --class-encoder none",
    "store-export": "store export {store} {absent}",
}
"""Each command as it would be typed; every {place} is given every rubbish in turn."""

TYPED = (
    "",
    " ",
    "-1",
    "0",
    "nan",
    "inf",
    "1e999",
    "9" * 30,
    ":",
    "+",
    "hub:",
    "tfidf:",
    "tfidf:0",
    "a\udcffb",
    "x" * 300,
)
"""What people and scripts type, or leave empty, where a value belongs."""


WORDS = ExtractConfig(text_encoder="tfidf:4", class_encoder="none")


@pytest.fixture(scope="module")
def whole(shared: Shared) -> Path:
    """A store, a model, embeddings and the small inputs of the commands. Read only."""
    return shared("rubbish", lay_out)


def lay_out(folder: Path) -> None:
    config = FitConfig(dimension=4, hidden_units=4, epochs=1, refit=False)
    store = random_store(folder / "store").path
    fit_model(store, folder / "model", config)
    embed_source(folder / "model", store, folder / "embeddings")
    write_csv(
        folder / "manifest.csv", [{"text": f"{word} {i}", "label": word} for i in range(4) for word in ("a1", "b2")]
    )
    write_csv(folder / "table.csv", [{"label": "a1", "text": "the first"}])
    write_csv(folder / "taxonomy.csv", [{"child": f"things/class {i}", "parent": "things"} for i in range(3)])
    np.save(folder / "graph.npy", np.zeros((3, 3), np.float32))
    np.save(folder / "array.npy", np.eye(3, dtype=np.float32))
    (folder / "lines.txt").write_text("train\nval\ntest\n")
    extract_features(folder / "manifest.csv", folder / "words-store", WORDS)
    fit_model(folder / "words-store", folder / "words-model", config)
    embed_source(folder / "words-model", folder / "words-store", folder / "words-embeddings")
    (folder / "keys.txt").write_text("a\nb\nc\n")
    (folder / "folder").mkdir()


@pytest.fixture
def there(whole: Path, tmp_path: Path) -> Path:
    """A copy of `whole`, with rubbish of every kind beside it."""
    folder = tmp_path / "there"
    shutil.copytree(whole, folder)
    rng = np.random.default_rng(0)
    for suffix in ("", ".csv", ".npy", ".npz", ".mat", ".parquet", ".html", ".png"):
        (folder / f"noise{suffix}").write_bytes(rng.bytes(300))
    for suffix in ("", ".npy", ".npz", ".png"):
        (folder / f"dir{suffix}").mkdir()
        (folder / f"empty{suffix}").write_bytes(b"")
    (folder / "words").write_text("words, not data\n")
    (folder / "pickled.npy").write_bytes(pickled())
    (folder / "dangling").symlink_to(folder / "nowhere")
    (folder / "loop").symlink_to(folder / "loop")
    for name in ("store.json", "config.json"):
        for kind, text in (("null", "null"), ("list", "[]"), ("empty", "{}"), ("torn", '{"format": "huse')):
            (folder / f"{kind}-{name}").mkdir()
            (folder / f"{kind}-{name}" / name).write_text(text)
    return folder


def pickled() -> bytes:
    """A .npy file of Python objects, which may run anything."""
    import io

    file = io.BytesIO()
    np.save(file, np.array([{}, None], dtype=object), allow_pickle=True)
    return file.getvalue()


ODD = ("absent.csv", "absent.npz", "words/below", "words/below.npz", "words/below.png", "x" * 300, "no/such/\udcff.csv")
"""Paths below a folder where nothing can be read."""

URLS = ("", "http://", "nosuch://x/y.csv", "file://", "/dev/null")

PLACES = ("words", "words/below", "x" * 300, "loop", "dangling", "folder", "store", "model", "embeddings", "noise.npy")
"""Where an output can be named that cannot be, or that holds what huse did not write."""


LATE = ("{absent", "{taxonomy", "{graph")
"""Places that are given fewer, as the command may have worked for a while when it comes to them."""


def rubbish(folder: Path, word: str) -> Iterator[str]:
    """What is typed for a word: all that lies in the folder, and what cannot be there; fewer where it takes long."""
    if word.startswith(LATE):
        yield from ("", *(str(folder / name) for name in PLACES))
    else:
        yield from map(str, sorted(folder.iterdir()))
        yield from (
            *(str(folder / name) for name in ODD),
            *URLS,
            f"{folder / 'array.npy'}:x",
            f"{folder / 'noise.npz'}:x",
        )


def told(result: Result) -> str:
    """What is wrong with how a command ended; empty when it is as it ought to be."""
    if result.exception and not isinstance(result.exception, SystemExit):
        return f"raised {type(result.exception).__name__}: {str(result.exception)[:200]}"
    if result.exit_code not in (0, 1, 2):
        return f"ended with {result.exit_code}"
    if "Traceback" in result.stderr:
        return "printed a traceback"
    if result.exit_code and not result.stderr.strip() and not result.stdout.strip():
        return "said nothing"
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    if result.exit_code == 1 and len(errors) > 1:
        return f"said {errors}"
    return ""


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def type_in(arguments: list[str]) -> str:
    """Runs a command, and tells what is wrong with how it ended."""
    wrong = told(CliRunner().invoke(main, arguments))
    return f"{' '.join(arguments)!r} {wrong}" if wrong else ""


@pytest.mark.slow
@pytest.mark.filterwarnings("default", "ignore:__array__ implementation:DeprecationWarning")  # TensorFlow's
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_rubbish_for_a_path_is_one_line(
    command: str, there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huse.embed.serve.serve.run_server", lambda *_: None)
    monkeypatch.setattr(click, "launch", lambda _: None)
    monkeypatch.setattr(keras.saving, "load_model", cache(keras.saving.load_model))  # whole ones; it takes long
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    words = command.split()
    plain = CliRunner().invoke(main, [str(there / w[1:-1]) if w.startswith("{") else w for w in words])
    assert plain.exit_code == 0, plain.output
    wrong = []
    for place, word in enumerate(words):
        if not word.startswith("{"):
            continue
        for path in rubbish(there, word):
            given = [str(there / w[1:-1]) if w.startswith("{") else w for w in words]
            given[place] = path
            wrong.append(type_in(given))
            for name in ("absent", "absent.png", "absent.npy", "absent.csv", "absent.store"):
                _remove(there / name)
    assert not list(filter(None, wrong))


def options() -> Iterator[tuple[list[str], str]]:
    """Every option that takes a value, of every command, with the command's words."""

    def walk(command: click.Command, words: list[str]) -> Iterator[tuple[list[str], str]]:
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.is_flag:
                yield (
                    words + ["absent"] * sum(p.nargs != 0 for p in command.params if isinstance(p, click.Argument)),
                    (parameter.opts[0]),
                )
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                yield from walk(child, [*words, name])

    yield from walk(main, [])


@pytest.mark.filterwarnings("default::UserWarning")
def test_rubbish_for_a_value_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huse.demo.run.run_demo", lambda *_: {})
    wrong = [type_in([*words, option, value]) for words, option in options() for value in TYPED]
    assert len(wrong) > 1000
    assert not list(filter(None, wrong))


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.parametrize("value", TYPED)
@pytest.mark.parametrize(
    "option",
    ["--text-encoder", "--image-encoder", "--class-encoder", "--image-weights", "--key-column", "--label-separator"],
)
def test_rubbish_for_an_encoder_or_a_column_is_one_line(option: str, value: str, whole: Path, tmp_path: Path) -> None:
    given = ["extract", str(whole / "manifest.csv"), str(tmp_path / "s"), "--text-encoder", "tfidf:4"]
    given += ["--class-encoder", "none", option, value]
    assert not type_in(given)
