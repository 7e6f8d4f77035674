"""How read, encode and write go side by side; what ends up in which row is tested with the whole of stage 1."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from samples import write_csv

from huse.extract.config import ExtractConfig
from huse.extract.extract import prepare_extraction
from huse.extract.manifest.rows import Manifest, read_manifest
from huse.extract.manifest.spool import ManifestRow, Spool
from huse.extract.readers import Readers
from huse.extract.run_encoders import Choice
from huse.features.encoder_spec import EncoderSpec
from huse.features.store import Store
from huse.features.summary import ExtractSummary

SHARD, BATCH = 4, 3
CONFIG = ExtractConfig(shard_size=SHARD, batch_size=BATCH, workers=2, class_encoder="none", dtype="float32")
PATIENCE = 60
"""Seconds after which something that ought to come has not."""


class Shade:
    """An image's mean, and whatever is to happen before its batch is encoded."""

    spec = EncoderSpec("shade", "image", 1, "mean", "1")
    input_size = (8, 8)

    def __init__(self) -> None:
        self.batches = 0

    def before(self) -> None:
        """Called in the encoder, batch by batch."""

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches += 1
        self.before()
        return pixels.mean(axis=(1, 2, 3))[:, None].astype(np.float32)


class Length:
    """A text's length, and whatever is to happen before its step is encoded."""

    spec = EncoderSpec("length", "text", 1, "none", "1")

    def __init__(self) -> None:
        self.seen = 0

    def before(self) -> None:
        """Called in the encoder, step by step."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.before()
        self.seen += len(texts)
        return np.array([[len(text)] for text in texts], np.float32)


def manifest(folder: Path, n: int, columns: Sequence[str] = ("key", "image", "text")) -> Manifest:
    rows = []
    for i in range(n):
        if "image" in columns:
            Image.new("RGB", (9, 7), (i + 1, i + 1, i + 1)).save(folder / f"{i}.png")
        row = {"key": f"k{i}", "image": f"{i}.png", "text": "x" * (i + 1)}
        rows.append({name: row[name] for name in columns})
    return read_manifest(write_csv(folder / "m.csv", rows))


def run(rows: Manifest, store: Path, image: Any, text: Any, config: ExtractConfig = CONFIG) -> ExtractSummary:
    return prepare_extraction(rows, store, config, choice=Choice(image, text)).run()


def require_all(store: Path, n: int) -> None:
    rows = Store.open(store).load()
    assert rows.image.vectors.ravel().tolist() == list(range(1, n + 1))
    assert rows.text.vectors.ravel().tolist() == list(range(1, n + 1))


def test_images_of_the_next_shard_are_read_while_the_last_batch_of_one_is_encoded(tmp_path: Path) -> None:
    read = threading.Event()
    rows = manifest(tmp_path, 3 * SHARD)
    last_batch = -(-SHARD // BATCH)

    def noticed(location: str, named: str) -> bytes:
        if Path(location).name == f"{SHARD}.png":
            read.set()
        return rows.read(location, named)

    class Waits(Shade):
        def before(self) -> None:
            assert self.batches != last_batch or read.wait(PATIENCE)

    run(replace(rows, read=noticed), tmp_path / "s", Waits(), Length())
    require_all(tmp_path / "s", 3 * SHARD)


def test_a_text_encoder_gets_as_many_at_a_time_as_it_tells(tmp_path: Path) -> None:
    class Slow(Length):
        batch_size = 3

        def __init__(self) -> None:
            super().__init__()
            self.sizes: list[int] = []

        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            self.sizes.append(len(texts))
            return super().encode(texts)

    slow = Slow()
    run(manifest(tmp_path, SHARD), tmp_path / "s", Shade(), slow)
    require_all(tmp_path / "s", SHARD)
    assert slow.sizes == [3, 1]


def test_texts_and_images_are_encoded_side_by_side(tmp_path: Path) -> None:
    together = threading.Barrier(2, timeout=PATIENCE)

    class Meets(Shade):
        def before(self) -> None:
            if self.batches == 1:
                together.wait()

    class MeetsToo(Length):
        def before(self) -> None:
            if not self.seen:
                together.wait()

    run(manifest(tmp_path, 2 * SHARD), tmp_path / "s", Meets(), MeetsToo())
    require_all(tmp_path / "s", 2 * SHARD)


class Counting:
    """A spool, and how many rows were taken from it."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.taken = 0

    def take(self, positions: Iterable[int]) -> list[ManifestRow]:
        rows = self.spool.take(positions)
        self.taken += len(rows)
        return rows


@pytest.mark.parametrize("columns", [("key", "text"), ("key", "image", "text")], ids=["texts", "both"])
def test_few_shards_are_open_however_many_there_are(tmp_path: Path, columns: Sequence[str]) -> None:
    rows = manifest(tmp_path, 30 * SHARD, columns)
    counting: Any = Counting(rows.spool)
    open_rows = []

    class Watches(Length):
        def before(self) -> None:
            open_rows.append(counting.taken - self.seen)

    class WatchesToo(Shade):
        def before(self) -> None:
            open_rows.append(counting.taken - self.batches * SHARD // 2)

    run(replace(rows, spool=counting), tmp_path / "s", WatchesToo(), Watches())
    assert len(Store.open(tmp_path / "s").load()) == 30 * SHARD
    assert max(open_rows) <= 2 * BATCH + 4 * SHARD


def test_small_shards_without_images_wait_by_their_rows() -> None:
    started: list[int] = []
    with Readers(1) as readers:
        results = readers.ordered(lambda i: started.append(i) or i, range(100), 6, weight=lambda _: 3)
        assert next(results) == 0
        assert len(started) <= 2
        assert list(results) == list(range(1, 100))


def test_seconds_of_texts_are_not_those_of_images(tmp_path: Path) -> None:
    summary = run(manifest(tmp_path, SHARD, ("key", "text")), tmp_path / "s", None, Length())
    assert summary.seconds_encode == 0 < summary.seconds_encode_texts
    summary = run(manifest(tmp_path, SHARD, ("key", "image")), tmp_path / "t", Shade(), None)
    assert summary.seconds_encode_texts == 0 < summary.seconds_encode


def test_an_error_of_the_texts_ends_the_run(tmp_path: Path) -> None:
    class Fails(Length):
        def before(self) -> None:
            if self.seen >= SHARD:
                raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        run(manifest(tmp_path, 3 * SHARD), tmp_path / "s", Shade(), Fails())
    assert Store.open(tmp_path / "s").shard_numbers() == [0]
