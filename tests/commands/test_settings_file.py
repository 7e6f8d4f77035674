"""`--config FILE.toml`, and the settings.toml that a store, a model and embeddings keep."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from command_line import invoke, ok
from samples import random_store, text_manifest

from huse.commands.options import config_options
from huse.commands.settings_file import config_option, naming_settings
from huse.features.errors import FitError
from huse.features.inspection import verify_store
from huse.features.options import option
from huse.features.settings import SETTINGS_FILE
from huse.features.store import Store
from huse.train.artifact.model_files import check_model
from huse.train.artifact.model_folder import load_model


@dataclass(frozen=True)
class Config:
    kind: str = option("", "Which.", choices=("", "one", "two"))
    shard_size: int = option(10, "How many.", least=1)
    rate: float | None = option(None, "How much.", least=0)
    file: Path | None = option(None, "Where.", metavar="FILE")
    part: tuple[int, int] = option((1, 1), "Which of how many.", metavar="I/N")
    hands: int | tuple[int, int] = option(0, "At once.", metavar="N")
    steady: bool = option(True, "Whether.")
    more: bool = option(False, "Whether also.")
    lengths: tuple[int, ...] = option((), "How long.")

    def __post_init__(self) -> None:
        if self.rate is not None and self.rate > 1:
            raise FitError(f"rate is {self.rate}; it must be at most 1")


def run(folder: Path, text: str | bytes, *words: str) -> tuple[dict[str, Any], str]:
    """What options hold in a command named fit that reads a file, and what is printed."""
    taken: dict[str, Any] = {}

    @click.command("fit")
    @config_option
    @config_options(Config)
    @click.option("--label-separator", default="/")
    @click.option("--overwrite", is_flag=True)
    def command(**options: Any) -> None:
        with naming_settings():
            Config(rate=options["rate"])
        taken.update(options)

    file = folder / "run.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = CliRunner().invoke(command, ["--config", str(file), *words])
    assert result.exit_code == (0 if taken else 2), result.output
    return taken, " ".join(result.output.split())


def test_a_file_says_what_options_do_not_and_one_file_serves_all_commands(tmp_path: Path) -> None:
    text = """
        [extract]
        whatever = "is of another command"
        [fit]
        kind = "two"
        shard-size = 3
        rate = 1
        file = "a"
        part = "2/3"
        hands = "4:8"
        steady = false
        more = true
        lengths = [64, 8]
        label_separator = ""
    """
    values = {
        "kind": "two", "shard_size": 3, "rate": 1.0, "file": Path("a"), "part": (2, 3), "hands": (4, 8),
        "steady": False, "more": True, "lengths": (8, 64), "label_separator": "", "overwrite": False,
    }  # fmt: skip
    assert run(tmp_path, text)[0] == values
    given = run(tmp_path, text, "--kind", "one", "--shard-size", "10", "--steady", "--label-separator", "/")[0]
    assert given == {**values, "kind": "one", "shard_size": 10, "steady": True, "label_separator": "/"}
    nothing = run(tmp_path, b"\xef\xbb\xbf[fit]\r\nhands = 5\r\n")[0]  # as Windows' editor writes it
    assert nothing["hands"] == 5
    assert run(tmp_path, "[fit]\nlengths = []")[0]["lengths"] == ()
    assert nothing["steady"] is nothing["more"] is nothing["kind"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[fit]\nshard_sise = 3",
            "[fit] shard_sise: there is no such setting (did you mean shard_size?); see huse fit -h",
        ),
        ("[fit]\nstore = 's'", "[fit] store: there is no such setting"),
        ("[fit]\nconfig = 'other.toml'", "[fit] config: there is no such setting"),
        ("[fit]\nno_steady = true", "did you mean steady?"),
        ("[fit]\noverwrite = true", "[fit] overwrite is said each time; take it out, and give --overwrite"),
        ("[fit]\nshard_size = 3\nshard-size = 4", "[fit] shard-size is there twice"),
        ("[fit]\nshard_size = 0", "[fit] shard_size: 0 is not in the range x>=1."),
        ("[fit]\nshard_size = '3'", "[fit] shard_size is '3'; write a whole number"),
        ("[fit]\nshard_size = true", "[fit] shard_size is True; write a whole number"),
        ("[fit]\nshard_size = 2.0", "[fit] shard_size is 2.0; write a whole number"),
        ("[fit]\nrate = -1", "[fit] rate: -1.0 is not in the range x>=0."),
        ("[fit]\nlengths = [true]", "[fit] lengths is [True]; write whole numbers, [N, N]"),
        ("[fit]\nlengths = [-1]", "[fit] lengths: '-1' is not N,N,..., such as 64,128,256"),
        ("[fit]\nsteady = 'no'", "[fit] steady is 'no'; write true or false"),
        ("[fit]\nsteady = 0", "[fit] steady is 0; write true or false"),
        ("[fit]\nkind = 'three'", "[fit] kind: 'three' is not one of 'one', 'two'"),
        ("[fit]\nkind = 1", "[fit] kind is 1; write a text in quotes"),
        ("[fit]\nfile = 2026-01-01", "[fit] file is datetime.date(2026, 1, 1); write a text in quotes"),
        ("[fit]\nhands = [4, 8]", '[fit] hands is [4, 8]; write a whole number, or "MIN:MAX"'),
        ("[fit]\npart = '3/2'", "[fit] part: '3/2' is not I/N"),
        ("[fit.deeper]\nkind = 'one'", "[fit] deeper: there is no such setting"),
        ("kind = 'one'", "no command takes settings by kind; write those of huse fit below a line [fit]"),
        ("fit = 3", "fit is no table; write those of huse fit below a line [fit]"),
        ("[fitt]\nkind = 'one'", "no command takes settings by fitt (did you mean fit?)"),
        ("[extract]\nkind = 'one'", "has settings of extract alone; write those of huse fit below a line [fit]"),
        ("", "is empty; write those of huse fit"),
        ("[fit]\nkind = one", "is not TOML in UTF-8 (Invalid value (at line 2, column 8))"),
        (b"[fit]\nkind = '\xff'", "is not TOML in UTF-8 ('utf-8' codec"),
        ("a = " + "[" * 5000, "is not TOML in UTF-8"),
    ],
)
def test_what_a_file_may_not_say_is_refused_by_name(tmp_path: Path, text: str | bytes, message: str) -> None:
    taken, printed = run(tmp_path, text)
    assert not taken
    assert "Invalid value for '--config': " in printed
    assert str(tmp_path / "run.toml") in printed
    assert message in printed


def test_what_the_configuration_refuses_names_the_file_if_it_is_of_it(tmp_path: Path) -> None:
    taken, printed = run(tmp_path, "[fit]\nrate = 2")
    assert not taken
    assert f"Error: {tmp_path / 'run.toml'}: [fit] rate is 2.0; it must be at most 1" in printed
    assert run(tmp_path, "[fit]\nrate = 2", "--rate", "0.5")[0]["rate"] == 0.5


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    for name, told in (("no.toml", "does not exist"), (".", "is a directory")):
        result = invoke("fit", "s", "m", "--config", tmp_path / name)
        assert result.exit_code == 2
        assert told in result.output


def test_a_store_keeps_what_makes_another_of_the_same_bytes(tmp_path: Path) -> None:
    manifest, first, second = text_manifest(tmp_path), tmp_path / "s", tmp_path / "t"
    (tmp_path / "names.csv").write_text("label,text\napple,a fruit\ntrain,a machine\n", encoding="utf-8")
    words = "--text-encoder", "tfidf:9", "--class-encoder", "tfidf:9", "--salient-tokens", 4, "--shard-size", 3
    words = *words, "--class-text", tmp_path / "names.csv", "--label-separator", ">", "--compression", "gzip"
    ok("extract", manifest, first, *words, "--workers", 1, "--content")
    kept = tomllib.loads((first / SETTINGS_FILE).read_text(encoding="utf-8"))["extract"]
    assert (kept["text_encoder"], kept["shard_size"]) == ("salient:4:tfidf:9", 3)
    assert kept["class_text"] == str(tmp_path / "names.csv")
    assert not {"workers", "content", "part", "engine", "salient_tokens", "image_weights"} & set(kept)
    ok("extract", manifest, second, "--config", first / SETTINGS_FILE)
    assert {file.name: file.read_bytes() for file in first.iterdir() if "looks" not in file.name} == {
        file.name: file.read_bytes() for file in second.iterdir() if "looks" not in file.name
    }
    assert verify_store(Store.open(second)) == {}

    ok("extract", manifest, tmp_path / "u", "--config", first / SETTINGS_FILE, "--shard-size", "5")
    assert Store.open(tmp_path / "u").shard_numbers() == [0, 1]


def test_a_store_keeps_what_its_last_run_was_told(tmp_path: Path) -> None:
    words = "extract", text_manifest(tmp_path), tmp_path / "s", "--text-encoder", "tfidf:9", "--class-encoder", "none"
    kept = tmp_path / "s" / SETTINGS_FILE
    ok(*words, "--part", "2/2")
    assert not kept.exists(), "what is of the whole store has one writer"
    ok(*words, "--part", "1/2", "--on-error", "fail")
    assert 'on_error = "fail"' in kept.read_text(encoding="utf-8")
    ok(*words, "--max-failure-rate", 0.25)
    written = kept.read_bytes(), kept.stat().st_ino
    assert b"max_failure_rate = 0.25" in written[0]
    ok(*words, "--max-failure-rate", 0.25)
    assert (kept.read_bytes(), kept.stat().st_ino) == written, "the same is not written again"

    kept.write_bytes(b"[extract")
    assert list(verify_store(Store.open(tmp_path / "s"))) == [SETTINGS_FILE]
    kept.unlink()  # as in stores of before
    assert verify_store(Store.open(tmp_path / "s")) == {}
    ok(*words, "--max-failure-rate", 0.25)
    assert kept.read_bytes() == written[0]
    ok(*words, "--overwrite", "--yes")
    assert "max_failure_rate = 0.25" not in kept.read_text(encoding="utf-8")


def test_a_model_and_embeddings_keep_what_makes_the_same(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s").path
    words = "--dimension", 16, "--hidden-units", 32, "--epochs", 2, "--seed", 5, "--learning-rate", 3e-3, "--no-refit"
    ok("fit", store, tmp_path / "m", *words, "--semantic-graph", "taxonomy")
    kept = tomllib.loads((tmp_path / "m" / SETTINGS_FILE).read_text(encoding="utf-8"))["fit"]
    assert (kept["preset"], kept["refit"], kept["semantic_graph"]) == ("default", False, "taxonomy")
    assert check_model(tmp_path / "m") == {}
    ok("fit", store, tmp_path / "again", "--config", tmp_path / "m" / SETTINGS_FILE)
    assert load_model(tmp_path / "again").fingerprint == load_model(tmp_path / "m").fingerprint
    assert (tmp_path / "again" / SETTINGS_FILE).read_bytes() == (tmp_path / "m" / SETTINGS_FILE).read_bytes()
    refused = invoke("fit", store, tmp_path / "p", "--config", tmp_path / "m" / SETTINGS_FILE, "--preset", "paper")
    assert refused.exit_code == 2
    assert "--preset paper beside a --config that starts from preset default" in " ".join(refused.output.split())

    ok("embed", tmp_path / "m", store, tmp_path / "v.npy", "--fuse", "--max-failure-rate", 0.5)
    kept_there = tmp_path / "v.store" / SETTINGS_FILE
    before = kept_there.read_bytes()
    assert b"fuse = true" in before
    assert b"max_failure_rate = 0.5" in before
    ok("embed", tmp_path / "m", store, tmp_path / "w.npy", "--config", kept_there)
    assert (tmp_path / "w.npy").read_bytes() == (tmp_path / "v.npy").read_bytes()
    ok("embed", tmp_path / "again", store, tmp_path / "v.npy", "--config", kept_there, "--overwrite")
    assert kept_there.read_bytes() == before
    assert verify_store(Store.open(tmp_path / "v.store")) == {}
