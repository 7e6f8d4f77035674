"""Processes that decode images, for runs on so many processors that threads hold each other up.

Pillow gives Python's lock away while it decodes and resizes, and takes it between; that is a tenth of an image's time,
which is nothing for two threads and most of the rate for sixteen (docs/scaling.md). A process a processor has a lock of
its own. The threads that read stay: each hands the bytes of some images to a process that is idle, and waits for their
pixels. Some at a time, for the lock changes hands with every message.

A process is `python -m huse.extract.images.decoders`, not one of `multiprocessing`, which would run the caller's script
a second time. It gets its images on standard input and ends with whoever started it, however that ended.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from huse.extract.images.decoding import ImageError, alone, decode_image
from huse.extract.images.framing import Framing
from huse.features.errors import StoreError

LEAST_PROCESSORS = 8
"""With fewer, threads do as well."""

FEW_IMAGES = 1000
"""So many are decoded by the threads themselves, in the time that processes take to start."""

READY = b"ready"
"""What a process says first."""

PIPE_BYTES = 1 << 20
"""Room in a pipe, where the system can tell, so that pixels go through at once."""

Decoded = tuple[NDArray[np.uint8], dict[int, ImageError]]

Request = tuple[Framing, int, bool]
"""What `decode_images` takes besides the bytes."""


class EndedError(Exception):
    """A process ended before it had decoded what it was given."""


def decode_images(
    data: Sequence[bytes],
    framing: Framing,
    max_pixels: int,
    recover_truncated: bool,
    alone: AbstractContextManager[object] = alone,
) -> Decoded:
    """Decodes some images; arguments as `decode_image`.

    Returns:
        (n, height, width, 3) uint8 RGB, zeros for those that fail, and why they do, by their place.
    """
    pixels, errors = np.zeros((len(data), *framing.size, 3), np.uint8), {}
    for i, one in enumerate(data):
        try:
            pixels[i] = decode_image(one, framing, max_pixels, recover_truncated, alone=alone)
        except ImageError as error:
            errors[i] = error
    return pixels, errors


def joined(parts: Sequence[Decoded]) -> Decoded:
    """What was decoded one by one."""
    errors = {i: error for i, (_, found) in enumerate(parts) for error in found.values()}
    return np.concatenate([pixels for pixels, _ in parts]), errors


class Decoders:
    """Decodes by processes, once there are enough images for that; a context, whose processes end with it.

    Args:
        processes: at most so many, started when they are needed; 0 for none.
        few: images that are decoded by the caller's threads before.
    """

    def __init__(self, processes: int, few: int = FEW_IMAGES) -> None:
        self._few, self._asked = few if processes else sys.maxsize, 0
        self._idle: SimpleQueue[_Process | None] = SimpleQueue()
        self._started: list[_Process] = []
        self._ended = False
        for _ in range(processes):
            self._idle.put(None)

    @classmethod
    def beside(cls, threads: int) -> Self:
        """Those that serve so many reading threads, of which there are two a processor."""
        processors = threads // 2
        return cls(processors if processors >= LEAST_PROCESSORS else 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        self._ended = True
        for process in self._started:
            process.end()

    def decode(self, data: Sequence[bytes], framing: Framing, max_pixels: int, recover_truncated: bool) -> Decoded:
        """Some images, from any thread; see `decode_images`.

        An image over which a process ended is an error of its own, which takes no other with it.

        Raises:
            StoreError: the system starts no process.
        """
        self._asked += len(data)
        request = framing, max_pixels, recover_truncated
        if self._asked <= self._few or self._ended:
            return decode_images(data, *request)
        try:
            return self._by_process(data, request)
        except EndedError as error:
            if len(data) > 1:
                return joined([self.decode([one], *request) for one in data])
            return np.zeros((1, *framing.size, 3), np.uint8), {0: ImageError(str(error))}

    def _by_process(self, data: Sequence[bytes], request: Request) -> Decoded:
        process = self._idle.get()
        try:
            process = process if process and process.is_there else self._start()
            return process.decode(data, request)
        finally:
            self._idle.put(process)

    def _start(self) -> _Process:
        try:
            process = _Process()
        except OSError as error:
            raise StoreError(
                f"workers (--workers): the system starts no process to decode images beside {len(self._started)} "
                f"others: {error.strerror}; name fewer than {2 * LEAST_PROCESSORS}"
            ) from error
        self._started.append(process)
        if self._ended:
            process.end()
        return process


class _Process:
    """One of them, which serves one thread at a time.

    Raises:
        OSError: the system does not start it, or it does not come up.
    """

    def __init__(self) -> None:
        told = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "huse.extract.images.decoders"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | told,
            pipesize=PIPE_BYTES,
            start_new_session=True,  # Ctrl-C is for the caller, who then ends this
        )
        self._sink, self._source = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        if self._source.read(len(READY)) != READY:
            self.end()
            raise OSError(0, f"it ended with code {self._process.returncode} at once")

    @property
    def is_there(self) -> bool:
        """Whether it can serve another time."""
        return self._process.poll() is None

    def decode(self, data: Sequence[bytes], request: Request) -> Decoded:
        """What `decode_images` gives.

        Raises:
            EndedError: before it was done.
        """
        try:
            answer = self._asked((data, *request))
            while answer is None:  # for an image so large that it is to be decoded alone
                with alone:
                    answer = self._asked(None)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self.end()
            code = self._process.returncode
            raise EndedError(f"the process that decoded it ended with code {code}, or memory ran out") from error
        return cast(Decoded, answer)

    def _asked(self, request: object) -> Any:
        _send(self._sink, request)
        return pickle.load(self._source)

    def end(self) -> None:
        """Whatever it does at the moment."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._sink, self._source):
            with suppress(OSError):  # what it was still to get
                pipe.close()


def _send(sink: IO[bytes], message: Any) -> None:
    pickle.dump(message, sink, pickle.HIGHEST_PROTOCOL)
    sink.flush()


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """What such a process does: answers requests by what `decode_images` gives, or by None to be told to go on."""

    class WhenTold(AbstractContextManager[None]):
        def __enter__(self) -> None:
            _send(sink, None)
            pickle.load(source)

        def __exit__(self, *_: object) -> None:
            """Others may, once the answer is there."""

    while True:
        try:
            data, framing, max_pixels, recover_truncated = pickle.load(source)
        except EOFError:
            return
        pixels, errors = decode_images(data, framing, max_pixels, recover_truncated, WhenTold())
        _send(sink, (pixels, {i: error.with_traceback(None) for i, error in errors.items()}))


def main() -> None:
    """Serves whoever started this process; what native code prints must not get among the answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where there are no sessions
    with os.fdopen(os.dup(1), "wb") as sink:
        os.dup2(2, 1)
        sink.write(READY)
        sink.flush()
        serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
