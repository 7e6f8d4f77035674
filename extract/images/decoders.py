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
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from huse.extract.images.decoding import ImageError, alone, decode_image, is_plain
from huse.extract.images.framing import Framing
from huse.features.own_process import module_command
from huse.features.processor import processors

LEAST_PROCESSORS = 8
"""With fewer, threads do as well."""

FEW_IMAGES = 1000
"""So many are decoded by the threads themselves, in the time that processes take to start."""

READY = b"huse decodes\n"
"""What a process says first."""

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

    Where no process can be started, or Pillow has been given other formats here, the caller's threads decode.

    Args:
        processes: at most so many, started when they are needed; 0 for none.
        few: images that are decoded by the caller's threads before.
        start: starts a process, in place of `DecodingProcess`.
    """

    def __init__(
        self, processes: int, few: int = FEW_IMAGES, start: Callable[[], DecodingProcess] | None = None
    ) -> None:
        can = processes and is_plain() and sys.executable and not hasattr(sys, "frozen")
        self._few, self._asked = few if can else sys.maxsize, 0
        self._idle: SimpleQueue[DecodingProcess | None] = SimpleQueue()
        self._new = start or DecodingProcess
        self._started: list[DecodingProcess] = []
        self._ended = False
        for _ in range(processes):
            self._idle.put(None)

    @classmethod
    def beside(cls, threads: int) -> Self:
        """Those that serve so many reading threads: one a processor, and one for two threads at most."""
        number = min(threads // 2, processors())
        return cls(number if number >= LEAST_PROCESSORS else 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        self._ended = True
        for process in self._started:
            process.end()

    def decode(self, data: Sequence[bytes], framing: Framing, max_pixels: int, recover_truncated: bool) -> Decoded:
        """Some images, from any thread; see `decode_images`.

        An image over which two processes end is an error of its own, which takes no other with it.
        """
        self._asked += len(data)
        request = framing, max_pixels, recover_truncated
        if self._asked <= self._few or not data:
            return decode_images(data, *request)
        try:
            return self._by_process(data, request)
        except EndedError:
            return joined([self._alone(one, request) for one in data])

    def _alone(self, one: bytes, request: Request) -> Decoded:
        try:
            return self._by_process([one], request)
        except EndedError as error:
            return np.zeros((1, *request[0].size, 3), np.uint8), {0: ImageError(str(error))}

    def _by_process(self, data: Sequence[bytes], request: Request) -> Decoded:
        process = self._idle.get()
        try:
            if self._ended:  # and nobody waits for these images
                return decode_images(data, *request)
            if process is None or not process.is_there:
                process = self._start()
            return decode_images(data, *request) if process is None else process.decode(data, request)
        finally:
            self._idle.put(process)

    def _start(self) -> DecodingProcess | None:
        try:
            process = self._new()
        except OSError as error:
            if self._few < sys.maxsize:
                why = error.strerror or error
                warnings.warn(f"images are decoded by threads, as no process could be started ({why})", stacklevel=1)
            self._few = sys.maxsize
            return None
        self._started.append(process)
        if self._ended:
            process.end()
        return process


class DecodingProcess:
    """One of them, which serves one thread at a time.

    Raises:
        OSError: the system does not start it, or it does not come up.
    """

    def __init__(self) -> None:
        command, environment = module_command("huse.extract.images.decoders")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment | {"OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the caller, who then ends this
        )
        self._sink, self._source = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        if READY not in iter(self._source.readline, b""):  # behind whatever starts with Python there and prints
            code = self._process.wait()
            self.end()
            raise OSError(0, f"it ended with code {code} at once")

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
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
            self.end()
            code = self._process.returncode
            raise EndedError(f"the process that decoded it ended with code {code}, or memory ran out") from error
        except BaseException:  # half an answer may be left, which nobody else is to get
            self.end()
            raise
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
    """What such a process does: answers requests by what `decode_images` gives, or by None to be told to go on.

    Raises:
        EOFError: there are no more.
    """

    class WhenTold(AbstractContextManager[None]):
        def __enter__(self) -> None:
            _send(sink, None)
            pickle.load(source)

        def __exit__(self, *_: object) -> None:
            """Others may, once the answer is there."""

    while True:
        data, framing, max_pixels, recover_truncated = pickle.load(source)
        pixels, errors = decode_images(data, framing, max_pixels, recover_truncated, WhenTold())
        _send(sink, (pixels, {i: error.with_traceback(None) for i, error in errors.items()}))


def main() -> None:
    """Serves whoever started this process until they end; what native code prints must not get among the answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where there are no sessions
    answers = os.dup(1)
    os.dup2(2, 1)
    with suppress(EOFError, BrokenPipeError, pickle.UnpicklingError), os.fdopen(answers, "wb") as sink:
        sink.write(READY)
        sink.flush()
        serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
