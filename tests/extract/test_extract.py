"""Runs of stage 1 with small stand-in encoders: what ends up in which row, and what is done again."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from samples import read_csv, write_csv

from huse.extract.config import ExtractConfig, ExtractSummary
from huse.extract.extract import extract_features, prepare_extraction
from huse.extract.images import reading
from huse.extract.manifest.rows import Columns, read_manifest
from huse.extract.readers import Readers
from huse.extract.run_encoders import Choice
from huse.features.companions import read_encoder_state
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import (
    EncoderError,
    ExtractionError,
    FingerprintError,
    HuseError,
    ManifestError,
    StoreError,
    UnreadableError,
)
from huse.features.inspection import list_failures, verify_store
from huse.features.store import Store
from huse.features.summary import MOST_FAILURES

CONFIG = ExtractConfig(shard_size=4, batch_size=3, dtype="float32")


@dataclass
class ColorEncoder:
    """An image's vector is its mean color."""

    spec: EncoderSpec = EncoderSpec("color", "image", 3, "mean", "0")
    input_size: tuple[int, int] = (8, 8)
    seen: int = 0
    shapes: set[tuple[int, ...]] = field(default_factory=set)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen += len(pixels)
        self.shapes.add(pixels.shape)
        means = pixels.mean(axis=(1, 2)).astype(np.float32)
        return np.where((means == 13.0).all(axis=1, keepdims=True), np.nan, means)


@dataclass
class LengthEncoder:
    """A text's vector is its length and its first letter."""

    spec: EncoderSpec = EncoderSpec("length", "text", 2, "none", "0")
    seen: list[str] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.seen += texts
        return np.array([[len(t), ord(t[0])] for t in texts], np.float32)


@dataclass
class Pair:
    """The encoders that runs are handed; that of the texts is the class names' too."""

    image: ColorEncoder = field(default_factory=ColorEncoder)
    text: LengthEncoder = field(default_factory=LengthEncoder)

    def extract(self, manifest: Path, store: Path, *arguments: Any, **options: Any) -> ExtractSummary:
        given = {"image_encoder": self.image, "text_encoder": self.text, "class_encoder": self.text}
        return extract_features(manifest, store, *arguments, **{**given, **options})


@pytest.fixture
def encoders() -> Pair:
    return Pair()


def make_manifest(tmp_path: Path, n: int, start: int = 0) -> Path:
    rows = []
    for i in range(start, start + n):
        Image.new("RGB", (9, 7), (i, 2 * i, 100)).save(tmp_path / f"{i}.png")
        rows.append({"key": f"k{i}", "image": f"{i}.png", "text": "x" * (i + 1), "label": "c/d", "split": "train"})
    return write_csv(tmp_path / "m.csv", rows)


def vectors(store: Path) -> dict[str, tuple[list[float], list[float]]]:
    rows = Store.open(store).load()
    return {key: (rows.image.vectors[i].tolist(), rows.text.vectors[i].tolist()) for i, key in enumerate(rows.key)}


def expected(numbers: Sequence[int]) -> dict[str, tuple[list[float], list[float]]]:
    return {f"k{i}": ([i, 2 * i, 100], [i + 1, ord("x")]) for i in numbers}


def shard_bytes(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(store.glob("*.h5")) if not path.name.startswith("looks-")}


def test_every_row_gets_its_own_vectors(tmp_path: Path, encoders: Pair) -> None:
    summary = encoders.extract(make_manifest(tmp_path, 10), tmp_path / "s", CONFIG)
    assert vectors(tmp_path / "s") == expected(range(10))
    assert (summary.rows, summary.encoded, summary.reused, summary.shards_written) == (10, 10, 0, 3)
    assert encoders.image.shapes == {(3, 8, 8, 3)}, "one static batch shape"


def test_bad_rows_cost_themselves_only(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 10)
    (tmp_path / "1.png").unlink()
    (tmp_path / "4.png").write_text("not an image")
    (tmp_path / "8.png").write_bytes(b"")
    rows = read_csv(path)
    rows[6]["text"] = " "
    rows[5]["image"] = ""
    summary = encoders.extract(write_csv(path, rows), tmp_path / "s", CONFIG)
    wanted = expected(range(10))
    for bad in ("k1", "k4", "k8", "k5"):
        wanted[bad] = ([0, 0, 0], wanted[bad][1])
    wanted["k6"] = (wanted["k6"][0], [0, 0])
    assert vectors(tmp_path / "s") == wanted
    stored = Store.open(tmp_path / "s").load()
    assert [k for k, has in zip(stored.key, stored.image.present, strict=True) if not has] == ["k1", "k4", "k5", "k8"]
    assert [k for k, has in zip(stored.key, stored.text.present, strict=True) if not has] == ["k6"]
    assert [(f.key, f.stage) for f in summary.failures] == [("k1", "read"), ("k4", "decode"), ("k8", "read")]
    assert list_failures(Store.open(tmp_path / "s")) == summary.failures


def test_vectors_that_are_not_finite_are_failures(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 3)
    Image.new("RGB", (4, 4), (13, 13, 13)).save(tmp_path / "1.png")
    summary = encoders.extract(path, tmp_path / "s", CONFIG)
    assert [(f.key, f.stage) for f in summary.failures] == [("k1", "encode")]
    assert not Store.open(tmp_path / "s").load().image.present[1]


def test_a_second_run_encodes_nothing(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 10)
    encoders.extract(path, tmp_path / "s", CONFIG)
    before = shard_bytes(tmp_path / "s")
    encoders.image.seen = 0
    summary = encoders.extract(path, tmp_path / "s", CONFIG)
    assert (summary.encoded, summary.reused, summary.shards_written, encoders.image.seen) == (0, 10, 0, 0)
    assert shard_bytes(tmp_path / "s") == before


@pytest.mark.parametrize("damage", ["missing", "flipped", "empty"])
def test_a_lost_or_damaged_shard_is_made_again(tmp_path: Path, encoders: Pair, damage: str) -> None:
    path = make_manifest(tmp_path, 10)
    encoders.extract(path, tmp_path / "s", CONFIG)
    before = shard_bytes(tmp_path / "s")
    victim = tmp_path / "s" / "shard-00001.h5"
    if damage == "missing":
        victim.unlink()
    elif damage == "empty":
        victim.write_bytes(b"")
    else:
        broken = bytearray(victim.read_bytes())
        place = before[victim.name].index(np.float32(100).tobytes())
        broken[place] ^= 1
        victim.write_bytes(broken)
    summary = encoders.extract(path, tmp_path / "s", CONFIG)
    assert (summary.encoded, summary.reused) == (4, 6)
    assert shard_bytes(tmp_path / "s") == before


@pytest.mark.parametrize(
    "error", [PermissionError(13, "no"), OSError(5, "no"), MemoryError()], ids=["13", "5", "memory"]
)
def test_a_shard_that_cannot_be_read_now_is_not_replaced(
    tmp_path: Path,
    encoders: Pair,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    path = make_manifest(tmp_path, 10)
    encoders.extract(path, tmp_path / "s", CONFIG)
    before, open_file = shard_bytes(tmp_path / "s"), h5py.h5f.open

    def refuse(name: bytes, *rest: object) -> object:
        if name.endswith(b"shard-00001.h5"):
            raise error
        return open_file(name, *rest)

    monkeypatch.setattr(h5py.h5f, "open", refuse)
    with pytest.raises(UnreadableError, match=r"shard-00001\.h5: cannot be read"):
        encoders.extract(path, tmp_path / "s", CONFIG)
    with pytest.raises(UnreadableError):
        Store.open(tmp_path / "s").read_or_none(1)
    assert shard_bytes(tmp_path / "s") == before


class InterruptedEncoder(ColorEncoder):
    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.seen >= 30:
            raise KeyboardInterrupt
        return super().encode(pixels)


def test_an_interrupted_run_loses_the_shard_in_flight_only(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 12)
    encoders.extract(path, tmp_path / "whole", CONFIG)
    with pytest.raises(KeyboardInterrupt):
        Pair(InterruptedEncoder(seen=15)).extract(path, tmp_path / "s", CONFIG)
    assert Store.open(tmp_path / "s").shard_numbers() == [0, 1]
    with pytest.raises(StoreError, match=r"shards are missing, 1 of 3, the first is shard-00002\.h5"):
        Store.open(tmp_path / "s").load()
    summary = encoders.extract(path, tmp_path / "s", CONFIG)
    assert (summary.encoded, summary.reused) == (4, 8)
    assert shard_bytes(tmp_path / "s") == shard_bytes(tmp_path / "whole")


def test_changed_added_and_removed_rows(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 10)
    encoders.extract(path, tmp_path / "s", CONFIG)
    rows = read_csv(make_manifest(tmp_path, 13))
    Image.new("RGB", (9, 7), (200, 200, 200)).save(tmp_path / "2.png")
    rows[7]["text"] = "other words"
    del rows[4]
    encoders.image.seen, encoders.text.seen = 0, []
    summary = encoders.extract(write_csv(path, rows), tmp_path / "s", CONFIG)
    wanted = expected([i for i in range(13) if i != 4])
    wanted["k2"] = ([200, 200, 200], wanted["k2"][1])
    wanted["k7"] = (wanted["k7"][0], [11, ord("o")])
    assert vectors(tmp_path / "s") == wanted
    assert summary.encoded == 5
    assert sorted(encoders.text.seen) == ["other words", "x" * 11, "x" * 12, "x" * 13]


def test_a_label_that_changes_costs_no_encoding(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 5)
    encoders.extract(path, tmp_path / "s", CONFIG)
    rows = read_csv(path)
    rows[3]["label"] = "other"
    encoders.image.seen = 0
    encoders.extract(write_csv(path, rows), tmp_path / "s", CONFIG)
    assert encoders.image.seen == 0
    assert Store.open(tmp_path / "s").load().label[3] == "other"
    classes = Store.open(tmp_path / "s").read_classes()
    assert classes is not None
    assert classes.labels == ["c/d", "other"]


def test_class_descriptions_stand_in_for_names(tmp_path: Path, encoders: Pair) -> None:
    rows = read_csv(make_manifest(tmp_path, 4))
    rows[3]["label"] = "other/long name"
    path = write_csv(tmp_path / "m.csv", rows)
    encoders.extract(path, tmp_path / "s", CONFIG)
    store = Store.open(tmp_path / "s")
    before = store.read_classes()
    assert before is not None
    assert (before.texts, before.vectors[:, 0].tolist()) == (["d", "long name"], [1, 9])
    described = write_csv(tmp_path / "classes.csv", [{"label": "c/d", "text": "what d is"}])
    encoders.extract(path, tmp_path / "s", replace(CONFIG, class_text=described))
    after = store.read_classes()
    assert after is not None
    assert (after.texts, after.vectors[:, 0].tolist()) == (["what d is", "long name"], [9, 9])
    write_csv(described, [{"label": "x", "text": "y"}])
    with pytest.raises(ManifestError, match="class 'x' is no row's label"):
        encoders.extract(path, tmp_path / "s", replace(CONFIG, class_text=described))
    write_csv(described, [{"key": 1, "label": "c/d", "text": "y"}, {"key": 2, "label": "c/d", "text": "z"}])
    with pytest.raises(ManifestError, match="class 'c/d' has two texts"):
        encoders.extract(path, tmp_path / "s", replace(CONFIG, class_text=described))


def test_other_encoders_are_refused(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 3)
    encoders.extract(path, tmp_path / "s", CONFIG)
    encoders.image.spec = EncoderSpec("other", "image", 3, "mean", "0")
    with pytest.raises(FingerprintError, match=r"color .* other"):
        encoders.extract(path, tmp_path / "s", CONFIG)


def run_with_failures(encoders: Pair, folder: Path, bad: int, n: int, **options: float) -> ExtractSummary:
    tmp_path = folder / f"{bad}-of-{n}"
    tmp_path.mkdir()
    path = make_manifest(tmp_path, n)
    for i in range(bad):
        (tmp_path / f"{i}.png").write_bytes(b"")
    config = ExtractConfig(shard_size=50, dtype="float32", **options)  # type: ignore[arg-type]
    return encoders.extract(path, tmp_path / "s", config)


def test_too_many_failures_end_with_an_error(tmp_path: Path, encoders: Pair) -> None:
    assert len(run_with_failures(encoders, tmp_path, 9, 20).failures) == 9  # a handful is never a rate
    with pytest.raises(
        ExtractionError, match=r"10 of 20 rows failed, more than max_failure_rate=0\.1 \(--max-failure-rate\)"
    ):
        run_with_failures(encoders, tmp_path, 10, 20)
    with pytest.raises(ExtractionError, match=r"1 of 20 rows failed") as error:
        run_with_failures(encoders, tmp_path, 1, 20, max_failure_rate=0.01)
    assert error.value.summary.rows == 20
    assert len(Store.open(tmp_path / "1-of-20" / "s").load()) == 20


def test_nothing_but_failures_is_an_error(tmp_path: Path, encoders: Pair) -> None:
    path = write_csv(tmp_path / "m.csv", [{"image": "absent.png"}])
    with pytest.raises(ExtractionError, match="all 1 rows failed"):
        encoders.extract(path, tmp_path / "s", CONFIG)


def test_images_alone_and_texts_alone(tmp_path: Path, encoders: Pair) -> None:
    rows = read_csv(make_manifest(tmp_path, 3))
    for name in ("image", "text"):
        alone = write_csv(tmp_path / f"{name}.csv", [{"key": row["key"], name: row[name]} for row in rows])
        summary = encoders.extract(alone, tmp_path / name, CONFIG)
        assert (summary.seconds_read > 0) == (name == "image"), "there are no images to wait for"
    images, texts = Store.open(tmp_path / "image").load(), Store.open(tmp_path / "text").load()
    assert (images.image.vectors.shape, images.text.vectors.shape) == ((3, 3), (3, 0))
    assert (texts.image.vectors.shape, texts.text.vectors.shape) == ((3, 0), (3, 2))


def test_unknown_encoders_are_named(tmp_path: Path) -> None:
    path = make_manifest(tmp_path, 2)
    with pytest.raises(EncoderError, match="no image encoder 'resnet'"):
        extract_features(path, tmp_path / "s", ExtractConfig(image_encoder="resnet"))
    with pytest.raises(EncoderError, match="no text encoder 'bow'"):
        extract_features(path, tmp_path / "s", ExtractConfig(text_encoder="bow"))


def test_ordered_keeps_order_and_bounds_what_waits() -> None:
    started: list[int] = []

    def work(i: int) -> int:
        started.append(i)
        return -i

    with Readers(4) as readers:
        results = readers.ordered(work, range(100), ahead=5)
        assert next(results) == 0
        assert len(started) <= 5
        assert list(results) == [-i for i in range(1, 100)]


def test_retrying_leaves_all_other_rows_unread(tmp_path: Path, encoders: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_manifest(tmp_path, 10)
    whole = (tmp_path / "4.png").read_bytes()
    (tmp_path / "4.png").write_bytes(whole[:30])
    (tmp_path / "7.png").unlink()
    assert encoders.extract(path, tmp_path / "s", CONFIG).failed == 2
    make_manifest(tmp_path, 12)
    (tmp_path / "7.png").unlink()
    Image.new("RGB", (9, 7), (99, 99, 99)).save(tmp_path / "1.png")  # changed, but not asked for
    read: list[str] = []

    def recorded(location: str, named: str) -> bytes:
        read.append(named)
        return reading.read_image(location, named)

    manifest = replace(read_manifest(path), read=recorded)
    choice = Choice(encoders.image, encoders.text, encoders.text)
    summary = prepare_extraction(manifest, tmp_path / "s", replace(CONFIG, retry_failed=True), choice=choice).run()
    assert sorted(read) == ["10.png", "11.png", "4.png", "7.png"]
    assert [failure.key for failure in summary.failures] == ["k7"]
    wanted = expected(range(12))
    wanted["k7"] = ([0, 0, 0], wanted["k7"][1])
    assert vectors(tmp_path / "s") == wanted
    make_manifest(tmp_path, 12)
    Image.new("RGB", (9, 7), (99, 99, 99)).save(tmp_path / "1.png")
    encoders.extract(path, tmp_path / "s", CONFIG)
    assert vectors(tmp_path / "s") == {**expected(range(12)), "k1": ([99, 99, 99], [2, ord("x")])}


def test_the_first_failure_stops_a_strict_run(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 10)
    (tmp_path / "6.png").unlink()
    with pytest.raises(ExtractionError, match=r"k6: No such file.*on_error='skip'"):
        encoders.extract(path, tmp_path / "s", replace(CONFIG, on_error="fail"))
    assert Store.open(tmp_path / "s").shard_numbers() == [0]


def test_failures_are_the_same_from_wherever_the_manifest_is_read(
    tmp_path: Path, encoders: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = tmp_path / "catalog"
    (catalog / "images").mkdir(parents=True)
    Image.new("RGB", (9, 7)).save(catalog / "images" / "A.png")
    (catalog / "images" / "empty.png").touch()
    (catalog / "images" / "odd.png").write_bytes(b"x")
    (tmp_path / "above.png").write_bytes(b"x")
    names = ["images/A.png", "images/a.png", "A.png", "images\\A.png", "above.png", "none.png", "../none.png"]
    names += ["~/none.png"]
    names += [
        "images/empty.png",
        "images/odd.png",
        "images",
        f"{catalog}/none.png",
        "file:///no.png",
        "memory://no/x.png",
    ]
    write_csv(catalog / "m.csv", [{"key": str(i), "image": name, "text": "x"} for i, name in enumerate(names)])
    config = replace(CONFIG, max_failure_rate=1.0)
    encoders.extract(catalog / "m.csv", tmp_path / "whole", config)
    for store, folder, manifest in (("beside", catalog, "m.csv"), ("inside", catalog / "images", "../m.csv")):
        monkeypatch.chdir(folder)
        encoders.extract(manifest, tmp_path / store, config)
        assert shard_bytes(tmp_path / store) == shard_bytes(tmp_path / "whole")
    failures = list_failures(Store.open(tmp_path / "whole"))
    assert len(failures) == len(names) - 1
    assert all(names[int(failure.key)] in failure.reason for failure in failures if failure.stage == "read")


def test_overwriting_begins_anew_and_deletes_nothing_else(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 10)
    encoders.extract(path, tmp_path / "s", CONFIG)
    (tmp_path / "s" / "notes.txt").write_text("mine")
    encoders.image.spec = EncoderSpec("other", "image", 3, "mean", "0")
    with pytest.raises(StoreError, match=r"holds 'notes\.txt' too"):
        encoders.extract(path, tmp_path / "s", CONFIG, overwrite=True)
    assert (tmp_path / "s" / "notes.txt").read_text() == "mine"
    (tmp_path / "s" / "notes.txt").unlink()
    summary = encoders.extract(path, tmp_path / "s", replace(CONFIG, shard_size=20), overwrite=True)
    assert (summary.encoded, Store.open(tmp_path / "s").shard_numbers()) == (10, [0])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"no store\.json there"):
        encoders.extract(path, tmp_path / "other", CONFIG, overwrite=True)


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (5, 7), (32, 2)])
def test_batch_size_and_workers_change_nothing(tmp_path: Path, encoders: Pair, batch_size: int, workers: int) -> None:
    path = make_manifest(tmp_path, 10)
    encoders.extract(path, tmp_path / "s", CONFIG)
    encoders.extract(path, tmp_path / "other", replace(CONFIG, batch_size=batch_size, workers=workers))
    assert shard_bytes(tmp_path / "s") == shard_bytes(tmp_path / "other")


class BlockEncoder(ColorEncoder):
    block = 4


def test_batches_are_multiples_of_the_encoders_block(tmp_path: Path) -> None:
    encoders = Pair(BlockEncoder())
    encoders.extract(make_manifest(tmp_path, 10), tmp_path / "s", CONFIG)
    assert encoders.image.shapes == {(4, 8, 8, 3)}


def test_the_order_of_rows_changes_no_vector(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 10)
    shuffled = [read_csv(path)[i] for i in np.random.default_rng(0).permutation(10)]
    encoders.extract(write_csv(tmp_path / "shuffled.csv", shuffled), tmp_path / "s", CONFIG)
    assert vectors(tmp_path / "s") == expected(range(10))


def test_a_summary_names_so_many_failures_and_counts_all(tmp_path: Path, encoders: Pair) -> None:
    rows = [{"key": f"k{i:04}", "image": "absent.png"} for i in range(MOST_FAILURES + 5)]
    with pytest.raises(ExtractionError, match=f"all {len(rows)} rows failed") as error:
        encoders.extract(write_csv(tmp_path / "m.csv", rows), tmp_path / "s", replace(CONFIG, shard_size=300))
    summary = error.value.summary
    assert [f.key for f in summary.failures] == [f"k{i:04}" for i in range(MOST_FAILURES)]
    assert (summary.failed, len(list_failures(Store.open(tmp_path / "s")))) == (len(rows), len(rows))


def test_a_vocabulary_stays_with_its_store(tmp_path: Path) -> None:
    rows = [{"key": str(i), "text": f"word{i} common", "split": "test" if i == 3 else ""} for i in range(4)]
    path = write_csv(tmp_path / "m.csv", rows)
    config = replace(CONFIG, text_encoder="tfidf:10")
    extract_features(path, tmp_path / "s", config)
    state = read_encoder_state(tmp_path / "s")
    assert state["words"] == ["common", "word0", "word1", "word2"], "test rows teach nothing"
    before = Store.open(tmp_path / "s").load().text.vectors
    grown = write_csv(path, [*rows, {"key": "9", "text": "word9 word1", "split": ""}])
    assert extract_features(grown, tmp_path / "s", config).encoded == 1
    after = Store.open(tmp_path / "s").load().text.vectors
    np.testing.assert_array_equal(after[:4], before)
    assert np.flatnonzero(after[4]).tolist() == [2]
    with pytest.raises(FingerprintError):
        extract_features(path, tmp_path / "s", replace(config, text_encoder="tfidf:11"))


MORTAL_RUN = """
import os, signal, sys, time
from dataclasses import replace
from itertools import count
manifest, store, part, parts, once, *paths = sys.argv[1:]
sys.path[:0] = paths
import test_extract
from huse.features.files import atomic

def mortal(step):
    def stepping(*arguments):
        if next(steps) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments)
    return stepping

atomic.sync_files, atomic.sync_folder = mortal(atomic.sync_files), mortal(atomic.sync_folder)
class Unhurried(test_extract.ColorEncoder):
    def encode(self, pixels):
        time.sleep(0.01)  # so that what is done is written behind it
        return super().encode(pixels)

pair = test_extract.Pair(Unhurried())
pair.image.encode = mortal(pair.image.encode)
config = replace(test_extract.CONFIG, part=(int(part), int(parts)))
for line in [once] if once else sys.stdin:
    steps, last = count(1), int(line)
    if once or not os.fork():
        pair.extract(manifest, store, config)
        break
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


def mortal_run(manifest: Path, store: Path, part: int = 1, parts: int = 1, once: str = "0") -> list[str]:
    """A run that is killed at its last step, before a batch is encoded, files are synced or their folder is; 0 is none.

    Without that number it is a process that reads such numbers and does a run for each.
    """
    arguments = [str(manifest), str(store), str(part), str(parts), once, str(Path(__file__).parent)]
    return [sys.executable, "-c", MORTAL_RUN, *arguments, *sys.path]


@contextmanager
def mortal_runs(manifest: Path, store: Path) -> Iterator[Callable[[int], int]]:
    """Does a run up to its last step and gives its exit code; each is a fork of one process, which imports once."""
    command = mortal_run(manifest, store, once="")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
    ) as process:
        asked, ended = process.stdin, process.stdout
        assert asked is not None
        assert ended is not None

        def run(last: int) -> int:
            asked.write(f"{last}\n")
            return int(ended.readline())

        yield run


def test_twenty_kills_end_in_the_same_bytes(tmp_path: Path, encoders: Pair) -> None:
    """Each run gets a little further than the last, and is killed before a step of encoding or syncing."""
    path = make_manifest(tmp_path, 120)
    encoders.extract(path, tmp_path / "whole", CONFIG)
    rng = np.random.default_rng(0)
    with mortal_runs(path, tmp_path / "s") as run:
        for last in rng.integers(1, 11, 20):
            assert run(last) == -signal.SIGKILL
    assert 0 < len(list((tmp_path / "s").glob("shard-*.h5"))) < 30
    encoders.extract(path, tmp_path / "s", CONFIG)
    assert shard_bytes(tmp_path / "s") == shard_bytes(tmp_path / "whole")
    assert not verify_store(Store.open(tmp_path / "s"))
    assert not list((tmp_path / "s").glob(".*")), "nothing is left of the killed runs"


@pytest.mark.slow
def test_no_kill_lets_a_changed_image_be_taken_for_the_old_one(tmp_path: Path, encoders: Pair) -> None:
    """Images change before each run, with times that count as settled; what looks the same is not read."""
    path, rng, changes = make_manifest(tmp_path, 40), np.random.default_rng(5), 0
    long_ago = time.time_ns() - 10**13
    for i in range(40):
        os.utime(tmp_path / f"{i}.png", ns=(long_ago, long_ago))
    with mortal_runs(path, tmp_path / "s") as run:
        for _ in range(16):
            for i, gray in zip(rng.integers(0, 40, 3), rng.integers(0, 250, 3), strict=True):
                changes += 1
                Image.new("RGB", (9, 7), (gray, gray, 100)).save(tmp_path / f"{i}.png")
                os.utime(tmp_path / f"{i}.png", ns=(long_ago + changes, long_ago + changes))
            assert run(rng.integers(1, 30)) in (0, -signal.SIGKILL)
    encoders.extract(path, tmp_path / "s", CONFIG)
    encoders.extract(path, tmp_path / "whole", CONFIG)
    assert vectors(tmp_path / "s") == vectors(tmp_path / "whole")
    assert encoders.extract(path, tmp_path / "s", CONFIG).trusted == 40


@pytest.mark.slow
def test_eight_parts_two_of_them_started_twice_end_in_the_same_bytes(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 75)
    encoders.extract(path, tmp_path / "whole", CONFIG)
    parts = (*range(1, 9), 3, 6)
    running = [subprocess.Popen(mortal_run(path, tmp_path / "s", part, 8), stdout=subprocess.DEVNULL) for part in parts]
    assert [process.wait(120) for process in running] == [0] * 10
    assert not verify_store(Store.open(tmp_path / "s"))
    names = {file.name for file in (tmp_path / "whole").iterdir()}
    assert {file.name for file in (tmp_path / "s").iterdir()} == names, "nothing is left of the runs"
    of_time = {name for name in names if name.startswith("looks-")}
    assert all(
        (tmp_path / "s" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in names - of_time
    )


def test_parts_run_at_once_end_in_the_same_bytes(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 50)
    encoders.extract(path, tmp_path / "whole", CONFIG)
    running = [
        subprocess.Popen(mortal_run(path, tmp_path / "s", part, 3), stdout=subprocess.DEVNULL) for part in (1, 2, 3)
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert shard_bytes(tmp_path / "s") == shard_bytes(tmp_path / "whole")
    assert not list((tmp_path / "s").glob(".*"))
    summary = encoders.extract(path, tmp_path / "s", CONFIG)
    assert (summary.encoded, summary.reused) == (0, 50)


def test_a_store_lacks_what_a_part_has_not_done(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 10)
    summary = encoders.extract(path, tmp_path / "s", replace(CONFIG, part=(2, 2)))
    assert (summary.rows, summary.encoded) == (4, 4)
    store = Store.open(tmp_path / "s")
    assert store.read_classes() is None
    problems = verify_store(store)
    assert list(problems) == ["shard-00000.h5", "shard-00002.h5"]
    assert "missing; run the command" in problems["shard-00000.h5"]
    with pytest.raises(StoreError, match=r"shards are missing, 2 of 3, the first is shard-00000\.h5"):
        store.load()
    assert encoders.extract(path, tmp_path / "s", replace(CONFIG, part=(1, 2))).rows == 6
    assert list(store.load().key) == [f"k{i}" for i in range(10)]
    assert store.read_classes() is not None


def test_wrong_parts_are_refused(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 2)
    for part in ((0, 2), (3, 2)):
        with pytest.raises(StoreError, match="parts are 1/2 to 2/2"):
            encoders.extract(path, tmp_path / "s", replace(CONFIG, part=part))
    with pytest.raises(StoreError, match="what the other parts have written"):
        encoders.extract(path, tmp_path / "s", replace(CONFIG, part=(1, 2)), overwrite=True)


def test_a_damaged_shard_whose_rows_have_left_the_manifest(tmp_path: Path, encoders: Pair) -> None:
    encoders.extract(make_manifest(tmp_path, 12), tmp_path / "s", CONFIG)
    Store.open(tmp_path / "s").shard_path(2).write_bytes(b"no longer a shard")
    encoders.extract(make_manifest(tmp_path, 8), tmp_path / "s", CONFIG)
    assert verify_store(Store.open(tmp_path / "s")) == {}
    assert set(vectors(tmp_path / "s")) == {f"k{i}" for i in range(8)}


def test_a_lost_shard_whose_rows_find_room_elsewhere(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 12)
    encoders.extract(path, tmp_path / "s", CONFIG)
    write_csv(path, [row for row in read_csv(path) if row["key"] not in ("k0", "k5", "k6", "k7")])
    Store.open(tmp_path / "s").shard_path(1).unlink()
    encoders.extract(path, tmp_path / "s", CONFIG)
    assert verify_store(Store.open(tmp_path / "s")) == {}
    assert set(vectors(tmp_path / "s")) == {"k1", "k2", "k3", "k4", "k8", "k9", "k10", "k11"}
    assert len(Store.open(tmp_path / "s").read(1)) == 0


def test_a_night_without_images_costs_no_vector(tmp_path: Path, encoders: Pair) -> None:
    """The disk is away, a file is cut off, another is an error page: rows keep their vectors, and say so."""
    path = make_manifest(tmp_path, 8)
    encoders.extract(path, tmp_path / "s", CONFIG)
    before, files = vectors(tmp_path / "s"), {i: (tmp_path / f"{i}.png").read_bytes() for i in range(8)}
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").write_bytes(b"")
    (tmp_path / "3.png").write_bytes(files[3][:40])
    (tmp_path / "4.png").write_text("<html>come back later</html>")
    summary = encoders.extract(path, tmp_path / "s", CONFIG)
    assert (summary.encoded, summary.reused, summary.not_reread, summary.failed) == (0, 4, 4, 0)
    assert vectors(tmp_path / "s") == before
    stored = list_failures(Store.open(tmp_path / "s"))
    assert [(f.key, f.stage) for f in stored] == [("k1", "read"), ("k2", "read"), ("k3", "decode"), ("k4", "decode")]
    assert all(failure.reason.startswith("could not be re-read: ") for failure in stored)
    for i, data in files.items():
        (tmp_path / f"{i}.png").write_bytes(data)
    retried = encoders.extract(path, tmp_path / "s", replace(CONFIG, retry_failed=True))
    assert (retried.encoded, retried.reused, retried.not_reread) == (0, 8, 0), "the same bytes need no encoder"
    assert list_failures(Store.open(tmp_path / "s")) == []


def test_a_whole_outage_ends_with_1_and_an_unharmed_store(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 6)
    encoders.extract(path, tmp_path / "s", CONFIG)
    before = vectors(tmp_path / "s")
    for image in tmp_path.glob("*.png"):
        image.unlink()
    with pytest.raises(ExtractionError, match=r"6 of 6 rows could not be re-read, .* they keep their vectors"):
        encoders.extract(path, tmp_path / "s", CONFIG)
    assert encoders.extract(path, tmp_path / "s", replace(CONFIG, max_failure_rate=1.0)).not_reread == 6
    assert vectors(tmp_path / "s") == before
    assert verify_store(Store.open(tmp_path / "s")) == {}


def test_a_text_or_image_that_was_taken_away_is_gone(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 3)
    encoders.extract(path, tmp_path / "s", CONFIG)
    rows = read_csv(path)
    rows[0]["text"], rows[1]["image"] = "", ""
    encoders.extract(write_csv(path, rows), tmp_path / "s", CONFIG)
    stored = Store.open(tmp_path / "s").load()
    assert stored.text.present.tolist() == [False, True, True]
    assert stored.image.present.tolist() == [True, False, True]
    assert stored.failures == []


REFUSED = {
    "encoder": ({"text_encoder": "tfdif:5"}, "no text encoder 'tfdif:5'"),
    "image encoder": ({"image_encoder": "resnet"}, "no image encoder 'resnet'"),
    "class encoder": ({"class_encoder": "uze"}, "no text encoder 'uze'"),
    "learning class encoder": (
        {"class_encoder": "tfidf:5"},
        r"class_encoder='tfidf:5' \(--class-encoder\) cannot embed class names: tfidf learns",
    ),
    "weights": ({"image_weights": Path("no.h5")}, r"no\.h5"),
    "class texts": ({"class_text": Path("no.csv")}, r"no\.csv"),
    "dtype": ({"dtype": "int8"}, "dtype is 'int8'; use 'float16' or 'float32'"),
    "compression": ({"compression": "zip"}, "compression is 'zip'; use '', 'lzf' or 'gzip'"),
    "precision": ({"precision": "half"}, "precision is 'half'; use 'auto', "),
    "part": ({"part": (1, 2)}, "the other parts have written"),
    "shard size": ({"shard_size": 0}, "shard_size is 0; it must be at least 1"),
    "words": ({"text_encoder": "tfidf:0"}, "not a number of words"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_overwriting_deletes_nothing_before_all_is_checked(tmp_path: Path, encoders: Pair, name: str) -> None:
    path = make_manifest(tmp_path, 6)
    encoders.extract(path, tmp_path / "s", CONFIG)
    before = {file.name: file.read_bytes() for file in (tmp_path / "s").iterdir()}
    changes, message = REFUSED[name]
    with pytest.raises(HuseError, match=message):
        extract_features(path, tmp_path / "s", replace(CONFIG, **changes), overwrite=True)  # type: ignore[arg-type]
    assert {file.name: file.read_bytes() for file in (tmp_path / "s").iterdir()} == before


class BrokenEncoder(ColorEncoder):
    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise EncoderError("no memory")


@pytest.mark.parametrize("damage", ["missing", "no rows", "double key", "no column", "broken encoder"])
def test_a_bad_manifest_or_encoder_deletes_nothing(tmp_path: Path, encoders: Pair, damage: str) -> None:
    path = make_manifest(tmp_path, 6)
    encoders.extract(path, tmp_path / "s", CONFIG)
    before = {file.name: file.read_bytes() for file in (tmp_path / "s").iterdir()}
    rows = read_csv(path)
    columns = Columns()
    if damage == "missing":
        path.unlink()
    elif damage == "no rows":
        path.write_text("image,text\n")
    elif damage == "double key":
        rows[1]["key"] = "k0"
        write_csv(path, rows)
    elif damage == "no column":
        columns = Columns(text="title")
    else:
        encoders = Pair(BrokenEncoder())
    with pytest.raises(HuseError):
        encoders.extract(path, tmp_path / "s", CONFIG, columns, overwrite=True)
    assert {file.name: file.read_bytes() for file in (tmp_path / "s").iterdir()} == before


def test_nothing_is_written_over_the_input(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 4)
    encoders.extract(path, tmp_path / "s", CONFIG)
    inside = write_csv(tmp_path / "s" / "m.csv", [{"text": "words"}])
    with pytest.raises(StoreError, match="holds the manifest"):
        encoders.extract(inside, tmp_path / "s", CONFIG, overwrite=True)
    with pytest.raises(StoreError, match="is a file"):
        encoders.extract(path, path, CONFIG)
    with pytest.raises(StoreError, match="is a file"):
        encoders.extract(path, path / "below", CONFIG)
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (9, 7)).save(folder / "0.png")
    with pytest.raises(StoreError, match="holds the manifest"):
        encoders.extract(folder, folder, CONFIG)
    assert inside.exists()
    assert [entry.name for entry in folder.iterdir()] == ["0.png"]


def test_the_same_run_twice_at_once_ends_whole(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 60)
    encoders.extract(path, tmp_path / "whole", CONFIG)
    running = [
        subprocess.Popen(mortal_run(path, tmp_path / "s", *part), stderr=subprocess.PIPE, text=True)
        for part in ((1, 1), (1, 1), (1, 2), (1, 2))
    ]
    told = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0], told
    assert shard_bytes(tmp_path / "s") == shard_bytes(tmp_path / "whole")
    assert verify_store(Store.open(tmp_path / "s")) == {}


def test_class_names_are_of_the_class_encoder_and_also_of_the_text_encoder(tmp_path: Path) -> None:
    from huse.train.data.task import read_class_texts  # not above: processes of the killed runs import this file

    rows = [{"text": f"red {name}", "label": f"fruit/{name}"} for name in ("apple", "pear", "plum")]
    path = write_csv(tmp_path / "m.csv", rows)
    names, texts = LengthEncoder(EncoderSpec("names", "text", 2, "none", "0")), LengthEncoder()
    extract_features(path, tmp_path / "s", CONFIG, text_encoder=texts, class_encoder=names)
    store = Store.open(tmp_path / "s")
    graph, trained = store.read_classes(), read_class_texts(store)
    assert graph is not None
    assert trained is not None
    assert (graph.encoder, trained.encoder) == (str(names.spec), str(texts.spec))
    assert graph.labels == trained.labels == ["fruit/apple", "fruit/pear", "fruit/plum"]
    names.seen, texts.seen = [], []
    extract_features(path, tmp_path / "s", CONFIG, text_encoder=texts, class_encoder=names)
    assert names.seen == texts.seen == [], "what is there is not encoded again"
    extract_features(path, tmp_path / "one", CONFIG, text_encoder=texts, class_encoder=texts)
    assert not (tmp_path / "one" / "class_texts.h5").exists()
    assert read_class_texts(Store.open(tmp_path / "one")) is not None


def test_labeled_images_need_no_text_encoder(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 4)
    alone = write_csv(path, [{name: row[name] for name in ("key", "image", "label")} for row in read_csv(path)])
    with pytest.warns(UserWarning, match=r"has no texts: text_encoder \(--text-encoder\) is not used"):
        encoders.extract(alone, tmp_path / "s", replace(CONFIG, text_encoder="tfidf:5"))
    store = Store.open(tmp_path / "s")
    assert store.info.text is None
    classes = store.read_classes()
    assert classes is not None
    assert classes.encoder == str(encoders.text.spec)


def test_a_text_without_a_known_word_is_a_failure(tmp_path: Path) -> None:
    rows = [{"key": "a", "text": "red apple"}, {"key": "b", "text": "\u7ea2\u82f9\u679c", "split": "test"}]
    path = write_csv(tmp_path / "m.csv", [{"split": "", **row} for row in rows])
    config = replace(CONFIG, text_encoder="tfidf:5")
    for _ in range(2):
        summary = extract_features(path, tmp_path / "s", config)
        assert [(f.key, f.stage) for f in summary.failures] == [("b", "encode")]
        assert "no known word" in summary.failures[0].reason
        assert Store.open(tmp_path / "s").load().text.present.tolist() == [True, False]
    assert (summary.encoded, summary.reused, summary.failed) == (0, 1, 1)


@pytest.mark.parametrize("n", [1, 4, 5])
def test_few_rows(tmp_path: Path, encoders: Pair, n: int) -> None:
    encoders.extract(make_manifest(tmp_path, n), tmp_path / "s", CONFIG)
    assert vectors(tmp_path / "s") == expected(range(n))


class Swallows:
    """Ctrl-C arrives in its destructor, where Python prints it and goes on."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@dataclass
class Interrupting:
    """Another encoder, and Ctrl-C at its third call, as a destructor of native code may swallow it."""

    inner: Any
    calls: int = 0

    @property
    def spec(self) -> EncoderSpec:
        spec: EncoderSpec = self.inner.spec
        return spec

    @property
    def input_size(self) -> tuple[int, int]:
        size: tuple[int, int] = self.inner.input_size
        return size

    def encode(self, items: Any) -> Any:
        self.calls += 1
        if self.calls == 3:
            Swallows()
        return self.inner.encode(items)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("modality", ["image", "text"])
def test_an_interrupt_that_python_loses_still_ends_the_run(tmp_path: Path, encoders: Pair, modality: str) -> None:
    path = make_manifest(tmp_path, 12)
    inner: Any = encoders.image if modality == "image" else encoders.text
    interrupting = Interrupting(inner)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        encoders.extract(path, tmp_path / "s", CONFIG, **{f"{modality}_encoder": interrupting})
    assert signal.getsignal(signal.SIGINT) is before
    assert interrupting.calls <= 4
    assert 2 not in Store.open(tmp_path / "s").shard_numbers()


HANGING_RUN = """
import sys, time
sys.path[:0] = sys.argv[3:]
import test_extract
from dataclasses import replace
from huse.extract.extract import prepare_extraction
from huse.extract.manifest.rows import read_manifest
from huse.extract.run_encoders import Choice

def hang(location, named):
    if location.endswith("6.png"):
        print("hangs", flush=True)
        time.sleep(600)
    return manifest.read(location, named)

manifest = read_manifest(sys.argv[1])
pair = test_extract.Pair()
choice = Choice(pair.image, pair.text, pair.text)
prepare_extraction(replace(manifest, read=hang), sys.argv[2], test_extract.CONFIG, choice=choice).run()
"""


def test_an_interrupt_waits_for_no_image_that_does_not_come(tmp_path: Path, encoders: Pair) -> None:
    path = make_manifest(tmp_path, 10)
    command = [sys.executable, "-c", HANGING_RUN, str(path), str(tmp_path / "s"), str(Path(__file__).parent), *sys.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        while process.poll() is None and not (tmp_path / "s" / "shard-00000.h5").exists():  # images are read ahead
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert Store.open(tmp_path / "s").shard_numbers() == [0]
    assert encoders.extract(path, tmp_path / "s", CONFIG).reused == 4


def test_images_in_cells_are_encoded_and_known_again(tmp_path: Path, encoders: Pair) -> None:
    """A table of structs of bytes and path; then rows change places, one goes and one comes."""
    import pyarrow.parquet

    path = tmp_path / "m.parquet"

    def write(numbers: Sequence[int]) -> Path:
        data = []
        for i in numbers:
            buffer = io.BytesIO()
            Image.new("RGB", (9, 7), (i, 2 * i, 100)).save(buffer, "PNG")
            data.append({"bytes": buffer.getvalue(), "path": f"k{i}"})
        texts = ["x" * (i + 1) for i in numbers]
        pyarrow.parquet.write_table(pyarrow.table({"image": data, "text": texts, "boxes": [[1]] * len(data)}), path)
        return path

    assert encoders.extract(write(range(6)), tmp_path / "s", CONFIG).encoded == 6
    assert vectors(tmp_path / "s") == expected(range(6))
    assert sorted(Store.open(tmp_path / "s").load().uri) == [f"k{i}" for i in range(6)]
    assert encoders.extract(write([9, 3, 2, 1, 0, 4]), tmp_path / "s", CONFIG).encoded == 1
    assert vectors(tmp_path / "s") == expected([0, 1, 2, 3, 4, 9])


def test_what_utf_8_cannot_hold_is_a_failure_of_its_row(tmp_path: Path, encoders: Pair) -> None:
    make_manifest(tmp_path, 3)
    path = tmp_path / "m.jsonl"
    rows = [
        {"key": "k0", "image": "0.png", "text": "x"},
        {"key": "bad \ud800", "image": "1.png", "text": "xx"},
        {"key": "bad path", "image": "\udce9.png", "text": "xx"},
        {"key": "k2", "image": "2.png", "text": "xxx\ud800"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    summary = encoders.extract(path, tmp_path / "s", CONFIG)
    assert (summary.encoded, summary.failed) == (2, 2)
    found = Store.open(tmp_path / "s").load()
    assert [failure.key for failure in found.failures] == [r"bad \ud800", "bad path"]
    assert all("not valid Unicode" in failure.reason for failure in found.failures)
    assert found.image.present.tolist() == [True, False, False, True]
    assert found.caption[3] == "xxx\ufffd"


def test_a_row_on_top_of_texts_costs_one_row(tmp_path: Path, encoders: Pair) -> None:
    texts = [{"text": "x" * (i % 7 + 1)} for i in range(10)]
    encoders.extract(write_csv(tmp_path / "m.csv", texts), tmp_path / "s", CONFIG)
    grown = write_csv(tmp_path / "m.csv", [{"text": "new"}, *texts])
    summary = encoders.extract(grown, tmp_path / "s", CONFIG)
    assert (summary.encoded, summary.reused) == (1, 10)


def test_an_image_that_is_not_there_is_told_with_what_is(tmp_path: Path, encoders: Pair) -> None:
    make_manifest(tmp_path, 3)
    path = write_csv(tmp_path / "m.csv", [{"image": "0.png"}, {"image": ".\\1.png"}, {"image": "2.PNG"}])
    summary = encoders.extract(path, tmp_path / "s", CONFIG)
    assert summary.encoded == 1
    reasons = " ".join(failure.reason for failure in summary.failures)
    assert "1.png is there: write / for" in reasons
    assert "2.png is there: its suffix is .png" in reasons
