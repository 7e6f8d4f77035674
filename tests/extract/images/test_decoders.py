"""Processes decode as threads do, whatever becomes of them, and end with whoever started them."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from huse.extract.config import ExtractConfig
from huse.extract.extract import prepare_extraction
from huse.extract.images import decoders, decoding
from huse.extract.images.decoders import Decoders, DecodingProcess, EndedError, decode_images
from huse.extract.images.decoding import MAX_PIXELS, decode_image
from huse.extract.images.framing import Framing
from huse.extract.manifest.plan import plan_shards
from huse.extract.manifest.rows import read_manifest
from huse.extract.pipeline import fill_shards
from huse.extract.run_encoders import Choice
from huse.features.encoder_spec import EncoderSpec
from huse.features.store import Store

FRAMING = Framing.whole((16, 24))
HOW = FRAMING, MAX_PIXELS, False


class Shade:
    """Stands for an encoder: the mean of each channel."""

    spec = EncoderSpec("shade", "image", 3, "16 x 24", "1")
    input_size = FRAMING.size

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return pixels.mean(axis=(1, 2), dtype=np.float32)


def png(seed: int, side: int = 20) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


IMAGES = [png(seed) for seed in range(12)]
SOME = [IMAGES[0], b"no image", IMAGES[1], IMAGES[2][:200]]


def assert_as_here(found: decoders.Decoded, data: Sequence[bytes]) -> None:
    pixels, errors = decode_images(data, *HOW)
    np.testing.assert_array_equal(found[0], pixels)
    assert {i: str(error) for i, error in found[1].items()} == {i: str(error) for i, error in errors.items()}


def test_pixels_and_errors_by_their_place() -> None:
    pixels, errors = decode_images(SOME, *HOW)
    assert pixels.shape == (4, 16, 24, 3)
    assert sorted(errors) == [1, 3]
    np.testing.assert_array_equal(pixels[2], decode_image(IMAGES[1], FRAMING))
    assert not pixels[1].any()
    assert decode_images([], *HOW)[0].shape == (0, 16, 24, 3)


@contextmanager
def a_process() -> Iterator[DecodingProcess]:
    process = DecodingProcess()
    try:
        yield process
    finally:
        process.end()


def test_processes_give_what_threads_give() -> None:
    with Decoders(2, few=0) as several, ThreadPoolExecutor(5) as threads:
        work = [IMAGES[i:] + SOME for i in range(len(IMAGES))]
        for data, found in zip(work, threads.map(lambda data: several.decode(data, *HOW), work), strict=True):
            assert_as_here(found, data)
        assert len(several._started) == 2


def test_few_images_start_no_process() -> None:
    with Decoders(2, few=5) as several:
        assert_as_here(several.decode(SOME, *HOW), SOME)
        assert not several._started
        assert_as_here(several.decode(SOME, *HOW), SOME)
        assert len(several._started) == 1
    with Decoders(0) as none:
        assert_as_here(none.decode(SOME, *HOW), SOME)
    assert not none._started


def test_there_are_as_many_as_processors_where_those_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "processors", lambda: 12)
    assert Decoders.beside(64)._idle.qsize() == 12
    assert Decoders.beside(20)._idle.qsize() == 10
    assert Decoders.beside(2 * decoders.LEAST_PROCESSORS - 1)._idle.qsize() == 0
    monkeypatch.setattr(decoders, "processors", lambda: decoders.LEAST_PROCESSORS - 1)
    assert Decoders.beside(64)._idle.qsize() == 0


class Ending:
    """Stands for a process that ends over some images."""

    is_there = True

    def __init__(self, deadly: Sequence[bytes]) -> None:
        self.deadly = deadly
        self.asked: list[int] = []

    def decode(self, data: Sequence[bytes], request: decoders.Request) -> decoders.Decoded:
        self.asked.append(len(data))
        if any(one in self.deadly for one in data):
            raise EndedError("it ended")
        return decode_images(data, *request)

    def end(self) -> None:
        """Nothing is there."""


def test_an_image_over_which_processes_end_takes_no_other_with_it() -> None:
    ending = Ending(IMAGES[3:4])
    with Decoders(1, few=0, start=lambda: ending) as one:  # type: ignore[arg-type, return-value]
        pixels, errors = one.decode(IMAGES[:5], *HOW)
    assert {i: str(error) for i, error in errors.items()} == {3: "it ended"}
    assert ending.asked == [5, 1, 1, 1, 1, 1]
    for i in (0, 1, 2, 4):
        np.testing.assert_array_equal(pixels[i], decode_image(IMAGES[i], FRAMING))


def test_a_process_that_is_killed_says_so() -> None:
    with a_process() as process:
        assert_as_here(process.decode(SOME, HOW), SOME)
        process._process.kill()
        with pytest.raises(EndedError, match=r"the process that decoded it ended with code -?\d+, or memory ran out"):
            process.decode(SOME, HOW)
        assert not process.is_there


def test_a_process_that_ended_between_images_costs_none() -> None:
    with Decoders(1, few=0) as one:
        one.decode(IMAGES[:1], *HOW)
        one._started[0]._process.kill()
        one._started[0]._process.wait()
        assert_as_here(one.decode(IMAGES[:1], *HOW), IMAGES[:1])
        assert len(one._started) == 2


def test_an_answer_that_was_not_read_is_nobody_elses() -> None:
    class Interrupted(io.BytesIO):
        def readline(self, *_: object) -> bytes:
            raise KeyboardInterrupt

        read = readinto = readline  # type: ignore[assignment]

    with a_process() as process:
        process._source.close()
        process._source = Interrupted()
        with pytest.raises(KeyboardInterrupt):
            process.decode(SOME, HOW)
        assert not process.is_there


def test_none_is_there_any_more_afterwards() -> None:
    with Decoders(2, few=0) as several:
        several.decode(IMAGES, *HOW)
    assert [process.is_there for process in several._started] == [False]
    assert_as_here(several.decode(SOME, *HOW), SOME)  # by a thread that has not heard of it yet
    assert len(several._started) == 1


def test_images_of_very_many_pixels_wait_to_be_told() -> None:
    buffer = io.BytesIO()
    Image.new("1", (decoding.MANY // 4000 + 1, 4000)).save(buffer, "PNG")
    data = [IMAGES[0], buffer.getvalue(), IMAGES[1]]
    with a_process() as process:
        assert process._asked((data, *HOW)) is None
        assert_as_here(process._asked(None), data)
        assert_as_here(process.decode(data, HOW), data)
    assert not decoding.alone.locked()


@pytest.mark.parametrize("program", ["/no/such/program", "false"])
def test_where_no_process_comes_up_threads_decode(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Decoders(1, few=0) as one:
        monkeypatch.setattr(sys, "executable", program)
        with pytest.warns(UserWarning, match="images are decoded by threads, as no process could be started"):
            assert_as_here(one.decode(SOME, *HOW), SOME)
        assert_as_here(one.decode(SOME, *HOW), SOME)  # and tells it once


def test_formats_that_were_added_here_are_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_other(_: object, __: object) -> None: ...

    decode_images(SOME, *HOW)  # Pillow has all its own by then
    monkeypatch.setitem(Image.OPEN, "OTHER", (open_other, None))
    with Decoders(1, few=0) as one:
        assert_as_here(one.decode(SOME, *HOW), SOME)
        assert not one._started


BY_A_PROCESS = """
from huse.extract.images.decoders import Decoders
from huse.extract.images.framing import Framing
with Decoders(1, few=0) as one:
    print(one.decode([b"no image"], Framing.whole((8, 8)), 100, False)[1][0], len(one._started))
"""


def test_the_working_folder_is_data_and_no_code(tmp_path: Path) -> None:
    for name in ("struct", "pickle", "queue", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('ran a file of the working folder')", encoding="utf-8")
    command = [sys.executable, "-P", "-c", BY_A_PROCESS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "not an image in a known format 1\n"


ORPHAN = """
import time
from huse.extract.images.decoders import Decoders
from huse.extract.images.framing import Framing
several = Decoders(1, few=0)
several.decode([b"no image"], Framing.whole((8, 8)), 100, False)
print(several._started[0]._process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no list of processes")
def test_they_end_when_the_caller_is_killed() -> None:
    pipe = subprocess.PIPE
    caller = subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=pipe, stderr=pipe, text=True)
    assert caller.stdout is not None
    pid = int(caller.stdout.readline())
    assert is_running(pid)
    caller.kill()
    _, said = caller.communicate()
    until(lambda: not is_running(pid))
    assert said == "", "nor does it say anything"


def is_running(pid: int) -> bool:
    """Whether it is more than an entry that waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(there: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_store_is_the_same_by_threads_and_by_processes(tmp_path: Path) -> None:
    lines = ["key,image"]
    for i in range(130):
        (tmp_path / f"{i}.png").write_bytes(SOME[i % 4] if i % 50 < 4 else IMAGES[i % 12])
        lines.append(f"{i},{i}.png")
    (tmp_path / "m.csv").write_text("\n".join(lines), encoding="utf-8")
    manifest = read_manifest(tmp_path / "m.csv")
    config, stores = ExtractConfig(workers=4, batch_size=20, shard_size=45), []
    for several in (Decoders(0), Decoders(2, few=0)):
        path = tmp_path / f"by-{len(stores)}"
        extraction = prepare_extraction(manifest, path, config, choice=Choice(Shade()))
        store, plan = Store.create(path, extraction.info), plan_shards(manifest.digests, {}, config.shard_size)
        with several:
            summary = fill_shards(plan, manifest, store, extraction.encoders, config, lambda: None, several)
        assert (summary.encoded, summary.failed) == (124, 6)
        stores.append([store.shard_path(i).read_bytes() for i in plan])
    assert len(several._started) == 2
    assert stores[0] == stores[1]
