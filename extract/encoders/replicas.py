"""How images are shared among the devices of a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import EncoderError

CPU_BATCH, GPU_BATCH = 32, 256
"""Images a forward pass and device, unless told: more is not faster."""

OUT_OF_MEMORY = (
    "out of memory",
    "failed to allocate",
    "dst tensor is not initialized",
    "cuda_error_out_of_memory",
    "no dnn in stream executor",
    "no blas for stream",
)
"""Words by which other errors of a device mean the same; the last, that a library of the GPU finds none for itself."""

Forward = Callable[[NDArray[np.uint8]], Any]
"""Pixels (n, height, width, 3) to a tensor (n, D)."""


def batch_size_here() -> int:
    """Images a forward pass on the devices of this machine."""
    import tensorflow as tf

    gpus = len(tf.config.list_logical_devices("GPU"))
    return gpus * GPU_BATCH if gpus else CPU_BATCH


def device_names() -> list[str]:
    """The GPUs of this machine, or its processor."""
    import tensorflow as tf

    return [device.name for device in tf.config.list_logical_devices("GPU")] or ["/CPU:0"]


class Replicas:
    """One network a device; a batch is cut into equal parts, and into smaller ones where a device is full.

    Args:
        build: makes the network on the device of its scope.
        devices: names; those of this machine by default.
    """

    def __init__(self, build: Callable[[], Forward], devices: list[str] | None = None) -> None:
        import tensorflow as tf

        self._devices = devices or device_names()
        self._forwards = []
        for name in self._devices:
            with tf.device(name), as_encoder_error():
                self._forwards.append(build())
        self._rounds = 1
        self._pool = ThreadPoolExecutor(len(self._devices), "huse-device")

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, height, width, 3) RGB pixels to (n, D) float32 vectors.

        Raises:
            EncoderError: one image alone is more than a device can hold, or TensorFlow cannot run the network.
        """
        if not len(pixels):
            return self(np.zeros((1, *pixels.shape[1:]), np.uint8))[:0]
        with as_encoder_error():
            while True:
                size = max(-(-len(pixels) // (len(self._devices) * self._rounds)), 1)
                try:
                    return self._run(pixels, size)
                except Exception as error:
                    if not is_out_of_memory(error) or size == 1:
                        raise
                    self._rounds *= 2

    def _run(self, pixels: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
        import tensorflow as tf

        def one(part: int) -> NDArray[np.float32]:
            chunk = pixels[part * size : (part + 1) * size]
            at = part % len(self._devices)
            with tf.device(self._devices[at]):
                return np.asarray(self._forwards[at](padded(chunk, size)), np.float32)[: len(chunk)]

        parts = range(-(-len(pixels) // size))
        return np.concatenate(list(self._pool.map(one, parts)))


def padded(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(n, height, width, 3) pixels filled up with zeros to `size` images: another shape would be compiled anew."""
    if len(pixels) == size:
        return pixels
    return np.concatenate([pixels, np.zeros((size - len(pixels), *pixels.shape[1:]), np.uint8)])


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device was too small for a batch, which TensorFlow tells in several ways."""
    import tensorflow as tf

    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return True
    told = isinstance(error, tf.errors.InternalError | tf.errors.UnknownError | tf.errors.InvalidArgumentError)
    return told and any(words in str(error).lower() for words in OUT_OF_MEMORY)


@contextmanager
def as_encoder_error(encoder: str = "the image encoder") -> Iterator[None]:
    """What TensorFlow raises within, in one line.

    Raises:
        EncoderError: it has no memory, or cannot run the network on what it was given.
    """
    import tensorflow as tf

    try:
        yield
    except (MemoryError, ValueError, TypeError, tf.errors.OpError) as error:
        told = str(getattr(error, "message", "") or error)
        reason = next(filter(None, map(str.strip, told.splitlines())), type(error).__name__)
        if is_out_of_memory(error):
            raise EncoderError(
                f"{encoder}: a device has no memory for one item ({reason}); end what else runs there, or use a "
                "smaller encoder"
            ) from error
        raise EncoderError(f"{encoder}: TensorFlow cannot run it ({reason.rstrip(':')}); name another") from error
