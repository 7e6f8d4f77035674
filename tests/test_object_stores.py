"""Every stage against an S3 server on loopback: the same bytes as on disk, whatever the server or a kill does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import fsspec
import numpy as np
import pytest
from command_line import invoke
from numpy.typing import NDArray
from PIL import Image
from s3_server import S3Server, s3_server
from samples import random_store, write_csv

from huse.embed.embed import embed_source
from huse.embed.model import load
from huse.extract.config import ExtractConfig
from huse.extract.extract import extract_features
from huse.features.encoder_spec import EncoderSpec
from huse.features.files.place import place
from huse.features.files.put import objects_below, try_to_put
from huse.features.inspection import verify_store
from huse.features.store import Store
from huse.train.config import FitConfig
from huse.train.fit import fit_model

SHARDS = ExtractConfig(shard_size=12, batch_size=8, workers=4)
FIT = FitConfig(dimension=8, hidden_units=16, epochs=2, patience=0, refit=False)
BUCKET = "s3://bucket"


class Colors:
    """An image's mean color."""

    spec = EncoderSpec("colors", "image", 3, "mean", "1")
    input_size = (8, 8)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return pixels.mean(axis=(1, 2), dtype=np.float32) / 255


class Letters:
    """How often a text has some letters."""

    spec = EncoderSpec("letters", "text", 4, "count", "1")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[1 + text.count(letter) for letter in "aeir"] for text in texts], np.float32)


ENCODERS = {"image_encoder": Colors(), "text_encoder": Letters(), "class_encoder": Letters()}


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").mkdirs("bucket", exist_ok=True)  # moto keeps buckets as long as the process lives
        yield server


@pytest.fixture
def server(running: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """The server, and an empty cache."""
    monkeypatch.setenv("HUSE_CACHE", str(tmp_path / "cache"))
    anew()
    running.requests.clear()
    yield running
    running.refuse_every, running.held = 0, ("", "")
    anew()


def anew() -> None:
    """As a new process: nothing is known of a server and its answers."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    try_to_put.cache_clear()


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 images of two classes with texts, as a table and as objects."""
    folder = tmp_path_factory.mktemp("catalog")
    rows = []
    for i in range(24):
        Image.new("RGB", (9, 7), (i * 10, 255 - i * 10, (i % 2) * 200)).save(folder / f"{i}.png")
        words, split = ("red air", "blue tree")[i % 2], "test" if i % 6 > 3 else "train"
        rows.append({"image": f"{i}.png", "text": f"{words} {i}", "label": f"kind {i % 2}", "split": split})
    write_csv(folder / "rows.csv", rows)
    return folder


def put(folder: Path, url: str) -> None:
    names = sorted(file.name for file in folder.iterdir())
    place(url).fs.put([str(folder / name) for name in names], [f"{place(url).path}/{name}" for name in names])


def content(folder: str | Path) -> dict[str, bytes]:
    """All files but those that say how images look where they lie."""
    if isinstance(folder, str):
        return {n: (place(folder) / n).read_bytes() for n in objects_below(place(folder)) if "looks-" not in n}
    files = (path for path in folder.rglob("*") if path.is_file() and "looks-" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def stages(catalog: str | Path, base: str) -> list[list[str]]:
    """All stages; what three queries find at the end."""
    extract_features(f"{catalog}/rows.csv", f"{base}/store", SHARDS, **ENCODERS)
    fit_model(f"{base}/store", f"{base}/model", FIT)
    model = load(f"{base}/model", image_encoder=Colors(), text_encoder=Letters())
    embed_source(model, f"{base}/store", f"{base}/v.parquet")
    hits = [
        model.search(f"{base}/v.store", text="red air", k=3),
        model.search(f"{base}/v.store", text="blue tree", k=3, gallery="fused"),
        model.search(f"{base}/v.store", image=f"{catalog}/3.png", k=3),
    ]
    return [[f"{hit.key} {hit.score}" for hit in found] for found in hits]


@pytest.mark.slow
def test_every_stage_gives_the_bytes_of_files_though_every_tenth_request_is_refused(
    server: S3Server, catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.retryhandler.delay_exponential", lambda *_, **__: 0.01)
    put(catalog, f"{BUCKET}/catalog")
    here = stages(catalog, str(tmp_path / "here"))
    server.refuse_every = 10
    there = stages(f"{BUCKET}/catalog", f"{BUCKET}/there")
    assert server.refused > 10
    server.refuse_every = 0
    assert there == here
    files, objects = content(tmp_path / "here"), content(f"{BUCKET}/there")
    of_the_fit = {f"model/{name}" for name in ("model.keras", "config.json")}  # a ZIP file has times in it
    assert {n: d for n, d in objects.items() if n not in of_the_fit} == {
        n: d for n, d in files.items() if n not in of_the_fit
    }
    fingerprints = [load(f"{base}/model").trained.fingerprint for base in (tmp_path / "here", f"{BUCKET}/there")]
    assert len(set(fingerprints)) == 1
    assert verify_store(Store.open(f"{BUCKET}/there/store")) == {}


@pytest.mark.slow
def test_a_kill_during_a_put_leaves_no_half_shard_and_the_next_run_ends_as_on_disk(
    server: S3Server, catalog: Path, tmp_path: Path
) -> None:
    rows = [{"text": f"word{i % 7} other{i}", "key": f"k{i}"} for i in range(30)]
    write_csv(tmp_path / "rows.csv", rows)
    command = [sys.executable, "-c", "from huse.cli import main; main()", "extract", str(tmp_path / "rows.csv")]
    command += ["--text-encoder", "tfidf:20", "--shard-size", "10"]
    server.held = ("PUT", "shard-00001.h5")
    first = subprocess.Popen([*command, f"{BUCKET}/killed"])
    try:
        assert server.holding.wait(120)
        os.kill(first.pid, signal.SIGKILL)
    finally:
        first.kill()
        first.wait()
    server.held = ("", "")
    server.dropped.set()
    there = set(content(f"{BUCKET}/killed"))
    assert {"store.json", "plan.json"} <= there
    assert "shard-00001.h5" not in there
    result = invoke("store", "verify", f"{BUCKET}/killed")
    assert result.exit_code == 1
    assert "shard-00001.h5: missing" in result.output
    for store in (f"{BUCKET}/killed", tmp_path / "store"):
        extract_features(tmp_path / "rows.csv", store, ExtractConfig(text_encoder="tfidf:20", shard_size=10))
    assert content(f"{BUCKET}/killed") == content(tmp_path / "store")


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["resident", "streamed"])
def test_fit_reads_each_shard_once(memory: str, server: S3Server) -> None:
    random_store(f"{BUCKET}/{memory}/features")
    server.requests.clear()
    fit_model(f"{BUCKET}/{memory}/features", f"{BUCKET}/{memory}/model", FitConfig(**{**vars(FIT), "memory": memory}))
    read = [path for method, path in server.requests if method == "GET" and "shard-" in path]
    assert sorted(read) == [f"/bucket/{memory}/features/shard-{i:05d}.h5" for i in range(3)]
    server.requests.clear()
    Store.open(f"{BUCKET}/{memory}/features").load()  # another process finds them in the cache
    assert not [path for method, path in server.requests if method == "GET" and "shard-" in path]


def test_uploads_in_parts_that_were_left_are_aborted_below_the_folder_alone(server: S3Server) -> None:
    store = fsspec.filesystem("s3")
    for name in ("left/shard-00000.h5", "left-beside/shard-00000.h5"):  # moto dates all uploads to 2010
        store.call_s3("create_multipart_upload", Bucket="bucket", Key=name)
    random_store(f"{BUCKET}/left")
    left = [upload["Key"] for upload in store.list_multipart_uploads("bucket")]
    assert left == ["left-beside/shard-00000.h5"]


def test_wrong_credentials_no_bucket_and_no_such_key_are_one_line_each(
    server: S3Server, catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_store(f"{BUCKET}/errors")

    def told(*command: str) -> str:
        anew()
        result = invoke(*command)
        assert result.exit_code == 1, result.output
        lines = result.stderr.strip().splitlines()
        assert len(lines) == 1, result.stderr
        assert result.stdout == ""
        return lines[0]

    write, manifest = ("extract", f"{catalog}/rows.csv"), ("extract", f"{BUCKET}/absent.csv", f"{tmp_path}/store")
    assert f"{BUCKET}/absent: no store.json there" in told("store", "verify", f"{BUCKET}/absent")
    assert f"{BUCKET}/absent.csv: cannot be read (no such object)" in told(*manifest)
    for command in (("store", "inspect", "s3://absent-bucket/store"), (*write, "s3://absent-bucket/store")):
        assert "s3://absent-bucket/store" in (line := told(*command))
        assert "The specified bucket does not exist; make it, or name another" in line
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
    for command in (
        ("store", "inspect", f"{BUCKET}/errors"),
        (*write, f"{BUCKET}/new"),
        ("doctor", f"{BUCKET}/errors"),
    ):
        assert command[-1] in (line := told(*command))
        assert "; check the credentials in the environment, and what they allow" in line
    assert f"{BUCKET}/absent.csv: cannot be read (Forbidden; check the credentials" in told(*manifest)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "Unable to locate credentials; check" in told("store", "inspect", f"{BUCKET}/errors")
    assert not (tmp_path / "store").exists()


def test_no_network_is_one_line(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(fsspec.get_filesystem_class("s3"), "retries", 1)
    anew()
    result = invoke("store", "inspect", f"{BUCKET}/errors")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert f"Error: {BUCKET}/errors/store.json: cannot be reached (EndpointConnectionError" in result.stderr
