"""The command line: through click's runner, and the main job in real subprocesses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from samples import random_embeddings, random_store, read_csv, write_csv

from huse.cli import main
from huse.features.errors import StoreError
from huse.features.store import Store

BIN = Path(sys.executable).parent / "huse"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def huse(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN, *map(str, arguments)], capture_output=True, text=True, check=False)


def ok(*arguments: object) -> str:
    result = huse(*arguments)
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", "no notices, warnings or bars when not on a terminal"
    return result.stdout


def ok_json(*arguments: object) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(ok(*arguments, "--json"))
    return value


def test_help_loads_nothing_heavy() -> None:
    assert "huse extract MANIFEST STORE" in ok("--help")
    code = "import sys, huse, huse.cli; assert not {'tensorflow', 'keras', 'sklearn', 'h5py'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_command_and_option_has_help() -> None:
    def walk(command: Any, path: list[str]) -> None:
        result = invoke(*path, "--help")
        assert result.exit_code == 0
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{path} {parameter.name}"
        for name, child in getattr(command, "commands", {}).items():
            walk(child, [*path, name])

    walk(main, [])


def test_the_main_job(few_emoji: Path, tmp_path: Path) -> None:
    store, model, out = tmp_path / "features", tmp_path / "model", tmp_path / "embeddings"
    bad = [
        {"key": "missing", "image": "absent.png", "text": "a missing file"},
        {"key": "words", "image": str(tmp_path / "words.jpg"), "text": "a text file"},
        {"key": "zero", "image": str(tmp_path / "zero.png"), "text": "a zero-byte image"},
        {"key": "mute", "image": read_csv(few_emoji)[20]["image"], "text": "  "},
    ]
    (tmp_path / "words.jpg").write_text("not an image")
    (tmp_path / "zero.png").write_bytes(b"")
    rows = read_csv(few_emoji)
    for place, row in zip((3, 11, 30, 38), bad, strict=True):
        rows.insert(place, {**rows[0], **row, "split": "train"})
    manifest = write_csv(few_emoji.parent / "with_bad.csv", rows)

    printed = ok("extract", manifest, store, "--shard-size", 20, "--batch-size", 8)
    for key in ("missing", "words", "zero"):
        assert f"failed: {key}: " in printed
    stored = Store.open(store).load()
    assert list(stored.key) == [row["key"] for row in rows]
    assert list(stored.key[~stored.has_image]) == ["missing", "words", "zero"]
    assert list(stored.key[~stored.has_text]) == ["mute"]
    clean = tmp_path / "clean"
    ok("extract", few_emoji, clean, "--batch-size", 8)
    other = Store.open(clean).load()
    at = {key: i for i, key in enumerate(stored.key)}
    for i, key in enumerate(other.key):  # aligned by content, not by count
        assert abs(stored.image[at[key]].astype(float) - other.image[i].astype(float)).max() < 0.05
        assert abs(stored.text[at[key]].astype(float) - other.text[i].astype(float)).max() < 1e-3
    twin = at[read_csv(few_emoji)[20]["key"]]
    assert abs(stored.image[at["mute"]].astype(float) - stored.image[twin].astype(float)).max() < 0.05

    again = ok_json("extract", manifest, store, "--shard-size", 20)
    assert (again["rows"], again["encoded"], again["reused"], again["failures"]) == (46, 0, 43, 3)
    assert "saved" in ok("fit", store, model, "--epochs", 12, "--hidden-units", 64, "--dimension", 32)
    figures = ok_json("evaluate", model, store)
    assert set(figures["accuracy"]) == {"image", "text", "fused"}
    directions = {"image_to_image", "image_to_text", "text_to_image", "text_to_text"}
    assert set(figures["retrieval"]) == directions
    assert all(set(values) == {"r_at_1", "r_at_5", "r_at_10", "map"} for values in figures["retrieval"].values())
    assert figures["accuracy"]["fused"] > 0.8
    assert "accuracy   image" in ok("evaluate", model, store, "--split", "all")
    assert ok_json("embed", model, store, out)["embedded"] == 46
    hits = ok_json("search", model, out, "--text", "wild animal", "-k", 7)["results"][0]["hits"]
    found = [hit["label"] for hit in hits]  # of a model of 12 epochs: the first, and most, whatever the processor
    assert found[0] == "animals & nature/animal mammal"
    assert found.count("animals & nature/animal mammal") > 3
    assert "flags" in ok("search", model, out, "--image", few_emoji.parent / read_csv(few_emoji)[0]["image"])
    inspected = ok_json("store", "inspect", store)
    assert (inspected["rows"], inspected["with_image"], inspected["with_text"], inspected["failures"]) == (
        46,
        43,
        45,
        3,
    )
    assert "vgg16, 512-d" in ok("store", "inspect", store)
    assert "3 of 3 shards are whole" in ok("store", "verify", store)
    assert "zero\tread\tempty file" in ok("store", "failures", store)


def test_errors_of_files_and_disks_are_one_line_naming_the_file(small_store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    store, below = small_store.path, tmp_path / "file" / "below"
    long = tmp_path / ("x" * 300)
    for arguments in (
        ["extract", tmp_path / "m.csv", below],
        ["fit", store, below],
        ["fit", store, store],
        ["fit", store, long],
        ["store", "export", store, below],
        ["store", "export", store, below / "all.npz"],
        ["store", "export", store, tmp_path / "all.csv"],
        ["store", "merge", below, store],
        ["store", "merge", store, store],
        ["store", "split", store, below],
        ["store", "import", below, "--image", tmp_path / "file"],
        ["store", "inspect", tmp_path / "file"],
        ["store", "verify", long],
        ["evaluate", store, store],
        ["embed", store, store, tmp_path / "out"],
        ["search", store, store, "--text", "x"],
        ["doctor", below],
        ["compare", tmp_path / "file", "--out", tmp_path / "c"],
        ["plot", tmp_path / "file", tmp_path / "p.png"],
    ):
        (tmp_path / "m.csv").write_text("text\na\n")
        result = invoke(*arguments)
        assert result.exit_code in (1, 2), (arguments, result.output)
        assert isinstance(result.exception, SystemExit), (arguments, result.exception)
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith("Error: "), (arguments, result.stderr)
        if result.exit_code == 1:
            assert result.stderr.count("\n") == 1, (arguments, result.stderr)
    assert (tmp_path / "file").read_text() == "mine"
    assert small_store.verify() == {}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "/data/s"), "Error: /data/s: No space left on device"),
        (PermissionError(13, "Permission denied", b"/data/s"), "Error: /data/s: Permission denied"),
        (OSError("unable to lock file"), "Error: unable to lock file"),
        (MemoryError(), "Error: out of memory; give smaller batches or shards, or close other programs"),
        (StoreError("two\nlines"), "Error: two lines"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    error: BaseException, line: str, small_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Store, "open", refuse)
    result = invoke("store", "inspect", small_store.path)
    assert (result.exit_code, result.stderr) == (1, f"{line}\n")
    with pytest.raises(type(error)):
        CliRunner().invoke(main, ["--debug", "store", "inspect", "x"], catch_exceptions=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk of Linux")
@pytest.mark.parametrize(("argument", "unbuffered"), [("encoders", ""), ("encoders", "1"), ("--help", "")])
def test_an_output_on_a_full_disk_is_one_line(argument: str, unbuffered: str) -> None:
    command = [sys.executable, "-c", "from huse.cli import main; main()", argument]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (1, "Error: standard output: No space left on device\n")


@pytest.mark.parametrize(("charset", "name"), [("utf-8", "s\udce9"), ("latin-1", "s\u2192")])
def test_letters_that_the_output_lacks_are_escaped(small_store: Store, tmp_path: Path, charset: str, name: str) -> None:
    small_store.path.rename(tmp_path / name)
    runner, arguments = CliRunner(charset=charset), ["store", "inspect", str(tmp_path / name)]
    shown = runner.invoke(main, arguments)
    assert (shown.exit_code, shown.exception) == (0, None)
    assert name.encode("ascii", "backslashreplace").decode() in shown.stdout
    assert json.loads(runner.invoke(main, [*arguments, "--json"]).stdout)["path"] == str(tmp_path / name)


def test_ctrl_c_is_one_line_and_exit_130(small_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "open", interrupt)
    result = invoke("store", "inspect", small_store.path)
    assert (result.exit_code, result.stderr) == (130, "Interrupted; nothing half-written is left\n")


def test_errors_are_one_line_with_exit_1(tmp_path: Path) -> None:
    for arguments, message in (
        (["extract", tmp_path / "absent.csv", tmp_path / "s"], "cannot be read"),
        (["fit", tmp_path / "nothing", tmp_path / "m"], "make a store with huse extract"),
        (["evaluate", tmp_path / "nothing", tmp_path / "s"], "make a model with huse fit"),
        (["store", "inspect", tmp_path], "no store.json"),
    ):
        result = huse(*arguments)
        assert result.returncode == 1
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    assert "Traceback" in huse("--debug", "store", "inspect", tmp_path).stderr


def test_wrong_usage_is_exit_2(tmp_path: Path) -> None:
    for arguments in (["fit"], ["search", "m", "e"], ["nonsense"]):
        assert invoke(*arguments).exit_code == 2
    assert invoke("fit", "s", "m", "--preset", "best").exit_code == 2


def test_other_encoders_end_with_one_line_naming_both(few_store: Path, tmp_path: Path) -> None:
    other = random_store(tmp_path / "other")
    ok("fit", few_store, tmp_path / "m", "--epochs", 1, "--hidden-units", 8)
    result = huse("embed", tmp_path / "m", other.path, tmp_path / "out")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "vgg16" in result.stderr
    assert "image-test" in result.stderr


def test_failing_runs_still_name_the_rows(tmp_path: Path) -> None:
    manifest = write_csv(tmp_path / "m.csv", [{"key": "a", "image": "no.png"}, {"key": "b", "image": "none.png"}])
    result = huse("extract", manifest, tmp_path / "s")
    assert result.returncode == 1
    assert "failed: a: No such file" in result.stdout
    assert "all 2 rows failed" in result.stderr


def test_compare_prints_the_tables(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s")
    options = ["--objectives", "posterior,huse", "--seeds", 1, "--trials", 1, "--epochs", 2]
    done = huse("compare", store.path, "--out", tmp_path / "out", *options)
    assert (done.returncode, done.stderr) == (0, "semantic graph: class names\n")
    printed = done.stdout
    assert "### Table 1: retrieval" in printed
    assert printed.strip() == (tmp_path / "out" / "tables.md").read_text().strip()
    assert invoke("compare", store.path, "--objectives", "clip").exit_code == 1


def test_a_map_is_drawn_without_notices(tmp_path: Path) -> None:
    store = random_embeddings(tmp_path / "s", has_image=False)
    assert "wrote" in ok("plot", store.path, tmp_path / "x.png", "--points")


def test_verify_ends_with_1_on_damage(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s")
    store.shard_path(1).write_bytes(b"")
    result = invoke("store", "verify", store.path, "--json")
    assert result.exit_code == 1
    assert list(json.loads(result.output)["problems"]) == ["shard-00001.h5"]
    store.shard_path(0).unlink()
    result = invoke("store", "verify", store.path)
    assert result.exit_code == 1
    assert "1 of 3 shards are whole" in result.output


@pytest.mark.parametrize("part", ["0/2", "3/2", "2", "1/0", "a/b", "-1/2"])
def test_a_part_that_is_none_is_wrong_usage(tmp_path: Path, part: str) -> None:
    result = invoke("extract", tmp_path / "m.csv", tmp_path / "s", "--part", part)
    assert result.exit_code == 2
    assert "is not I/N with I from 1 to N, such as 1/4" in result.output


@pytest.mark.slow
def test_an_interrupt_is_quiet_and_resumable(emoji: Path, tmp_path: Path) -> None:
    import signal

    manifest = write_csv(emoji.parent / "some.csv", read_csv(emoji)[:400])
    command = [BIN, "extract", manifest, tmp_path / "s", "--shard-size", "20", "--batch-size", "10"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "s" / "shard-00001.h5").exists():
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=120)
    assert process.returncode == 130
    assert printed.strip() == "Interrupted; nothing half-written is left"
    assert not list((tmp_path / "s").glob(".*tmp"))
    done = len(list((tmp_path / "s").glob("shard-*.h5")))
    assert ok_json(*command[1:])["reused"] >= 20 * done


def text_manifest(tmp_path: Path, n: int = 8) -> Path:
    words = ("red apple", "green apple", "fast train", "slow train")
    rows = [{"key": str(i), "text": f"{words[i % 4]} {i}", "label": words[i % 4].split()[1]} for i in range(n)]
    return write_csv(tmp_path / "m.csv", rows)


def test_overwriting_asks_first(tmp_path: Path) -> None:
    arguments = ["extract", str(text_manifest(tmp_path)), str(tmp_path / "s"), "--text-encoder", "tfidf:9"]
    assert invoke(*arguments).exit_code == 0
    before = Store.open(tmp_path / "s").info
    other = [*arguments[:-1], "tfidf:8", "--overwrite"]
    refused = CliRunner().invoke(main, other, input="n\n")
    assert refused.exit_code == 1
    assert f"Delete the store {tmp_path / 's'} and all its vectors? [y/N]" in refused.stderr
    assert Store.open(tmp_path / "s").info == before
    assert CliRunner().invoke(main, other).exit_code == 1, "nobody there to answer is a no"
    assert CliRunner().invoke(main, other, input="y\n").exit_code == 0
    assert Store.open(tmp_path / "s").info != before
    assert invoke(*arguments, "--overwrite", "--yes").exit_code == 0
    assert invoke(*arguments[:2], tmp_path / "new", *arguments[3:], "--overwrite").exit_code == 0, "nothing to delete"


def test_encoders_are_listed() -> None:
    shown = ok("encoders")
    for name in ("vgg16:fc2", "efficientnetv2b0", "hub:HANDLE-OR-FOLDER", "bert:", "use", "tfidf:DIM", "NAME+NAME"):
        assert name in shown
    assert {"usage", "modality", "dimension", "source"} == set(ok_json("encoders")["encoders"][0])


def test_an_import_counts_the_rows_that_failed(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[1, 2], [np.nan, 1]]))
    done = invoke("store", "import", tmp_path / "s", "--image", tmp_path / "x.npy")
    assert "2 rows in" in done.stdout
    assert "1 failures; huse store failures" in done.stdout


def test_stores_are_rearranged_from_the_command_line(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s")
    assert invoke("store", "split", store.path, tmp_path / "parts", "--parts", 2).exit_code == 0
    parts = [tmp_path / "parts" / f"part-{i}" for i in range(2)]
    assert invoke("store", "merge", tmp_path / "m", *parts, "--json").stdout == '{"rows": 60}\n'
    assert invoke("store", "export", tmp_path / "m", tmp_path / "out").exit_code == 0
    files = [("--image", "image.npy"), ("--text", "text.npy"), ("--labels", "label.txt"), ("--split", "split.txt")]
    options = [part for flag, name in files for part in (flag, tmp_path / "out" / name)]
    done = invoke("store", "import", tmp_path / "again", *options, "--image-encoder", "clip")
    assert done.exit_code == 0, done.stderr
    assert Store.open(tmp_path / "again").info.image.name == "clip"  # type: ignore[union-attr]
    assert "0 images and 0 texts stand in more than one split" in invoke("store", "leaks", store.path).stdout
    refused = invoke("store", "merge", tmp_path / "n", tmp_path / "again", store.path)
    assert refused.exit_code == 1
    assert "encoders differ, clip" in refused.stderr


def test_a_fitted_vocabulary_goes_with_the_model(tmp_path: Path) -> None:
    manifest = text_manifest(tmp_path, 40)
    ok("extract", manifest, tmp_path / "s", "--text-encoder", "tfidf:60", "--salient-tokens", 3)
    ok("fit", tmp_path / "s", tmp_path / "m", "--epochs", 20, "--hidden-units", 32, "--dimension", 16)
    more = write_csv(tmp_path / "more.csv", [{"key": "new", "text": "a train"}, {"key": "other", "text": "an apple"}])
    ok("embed", tmp_path / "m", more, tmp_path / "e")
    rows = Store.open(tmp_path / "e").load()
    assert rows.prediction is not None
    assert rows.prediction.tolist() == ["train", "apple"]
    found = ok_json("search", tmp_path / "m", tmp_path / "e", "--text", "the train", "--gallery", "text", "-k", 1)
    assert found["results"][0]["hits"][0]["key"] == "new"
