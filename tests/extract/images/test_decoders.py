"""Processes decode as threads do, whatever becomes of them, and end with whoever started them."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from huse.extract.config import ExtractConfig
from huse.extract.extract import extract_features
from huse.extract.images import decoders, decoding
from huse.extract.images.decoders import Decoders, decode_images
from huse.extract.images.decoding import MAX_PIXELS, decode_image
from huse.extract.images.framing import Framing
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import StoreError
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


def test_there_are_as_many_as_processors_where_those_are_many() -> None:
    assert Decoders.beside(2 * decoders.LEAST_PROCESSORS)._idle.qsize() == decoders.LEAST_PROCESSORS
    assert Decoders.beside(2 * decoders.LEAST_PROCESSORS - 1)._idle.qsize() == 0


def killed_meanwhile(several: Decoders, data: Sequence[bytes]) -> decoders.Decoded:
    """What comes of images over which a process is killed."""
    several.decode(IMAGES[:1], *HOW)
    pid = several._started[-1]._process.pid
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(several.decode, data, *HOW)
        time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        return found.result()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_a_process_that_ends_over_an_image_takes_no_other_with_it() -> None:
    with Decoders(1, few=0) as one:
        pixels, errors = killed_meanwhile(one, IMAGES[:1])
        assert str(errors[0]) == "the process that decoded it ended with code -9, or memory ran out"
        assert pixels.shape == (1, 16, 24, 3)
        assert not pixels.any()
        assert_as_here(killed_meanwhile(one, SOME), SOME)
        assert len(one._started) == 3, "one more after each that was killed"


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_a_process_that_ended_between_images_costs_none() -> None:
    with Decoders(1, few=0) as one:
        one.decode(IMAGES[:1], *HOW)
        one._started[0]._process.kill()
        one._started[0]._process.wait()
        assert_as_here(one.decode(IMAGES[:1], *HOW), IMAGES[:1])


def test_none_is_there_any_more_afterwards() -> None:
    with Decoders(2, few=0) as several:
        several.decode(IMAGES, *HOW)
    assert [process.is_there for process in several._started] == [False]
    assert_as_here(several.decode(SOME, *HOW), SOME)  # by a thread that has not heard of it yet


def test_images_of_very_many_pixels_wait_for_each_other() -> None:
    buffer = io.BytesIO()
    Image.new("1", (decoding.MANY // 4000 + 1, 4000)).save(buffer, "PNG")
    with Decoders(1, few=0) as one, ThreadPoolExecutor(1) as thread:
        one.decode(IMAGES[:1], *HOW)
        with decoding.alone:
            found = thread.submit(one.decode, [buffer.getvalue(), IMAGES[0]], *HOW)
            time.sleep(0.5)
            assert not found.done()
        assert not found.result()[0][0].any()
        assert not decoding.alone.locked()


def test_a_process_that_does_not_come_up_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with Decoders(1, few=0) as one:
        monkeypatch.setattr(sys, "executable", "/no/such/program")
        with pytest.raises(StoreError, match=r"workers \(--workers\): the system starts no process"):
            one.decode(SOME, *HOW)
        monkeypatch.setattr(sys, "executable", "false")
        with pytest.raises(StoreError, match="it ended with code 1 at once; name fewer than 16"):
            one.decode(SOME, *HOW)


ORPHAN = """
import sys, time
from huse.extract.images.decoders import Decoders
from huse.extract.images.framing import Framing
several = Decoders(1, few=0)
several.decode([b"no image"], Framing.whole((8, 8)), 100, False)
print(several._started[0]._process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_they_end_when_the_caller_is_killed() -> None:
    caller = subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    with caller.stdout as printed:
        pid = int(printed.readline())
        caller.kill()
        caller.wait()
    until(lambda: not is_running(pid))


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
    """Of more images than threads decode themselves, some of them damaged."""
    lines = ["key,image"]
    for i in range(decoders.FEW_IMAGES + 100):
        (tmp_path / f"{i}.png").write_bytes(SOME[i % 4] if i % 50 < 4 else IMAGES[i % 12])
        lines.append(f"{i},{i}.png")
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(lines), encoding="utf-8")
    stores = []
    for threads in (2, 2 * decoders.LEAST_PROCESSORS):
        config = ExtractConfig(workers=threads, batch_size=100, shard_size=300, max_failure_rate=1.0)
        extract_features(manifest, tmp_path / f"by-{threads}", config, image_encoder=Shade())
        stores.append(Store.open(tmp_path / f"by-{threads}"))
    assert [stores[0].shard_path(i).read_bytes() for i in stores[0].shard_numbers()] == [
        stores[1].shard_path(i).read_bytes() for i in stores[1].shard_numbers()
    ]
