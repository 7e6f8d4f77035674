"""`vgg16`: the convolutional base of VGG16 trained on ImageNet, averaged over the last block's 7 x 7 places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders import convolution
from huse.extract.encoders.arithmetic import Arithmetic, Processor, common_arithmetic
from huse.extract.encoders.replicas import Replicas
from huse.extract.images import decoding
from huse.features.encoder_spec import EncoderSpec, digest_arrays
from huse.features.errors import EncoderError

DIMENSION = 512
LAYERS = ("block1", 2), ("block2", 2), ("block3", 3), ("block4", 3), ("block5", 3)
"""Blocks of the network and how many 3 x 3 convolutions each has."""

WIDTHS = {"block1": 64, "block2": 128, "block3": 256, "block4": 512, "block5": 512}
"""Channels of each block."""

MEAN_BGR = (103.939, 116.779, 123.68)
"""Channel means of ImageNet that the published weights expect to be subtracted, in blue, green, red order."""

BLOCK = 16
"""Images a block by Winograd's algorithm. Compiling takes seconds, so fewer, such as a query, go directly."""


class VGG16Encoder:
    """512-d average of VGG16's block5 (Simonyan and Zisserman, arXiv 1409.1556).

    Args:
        weights: a Keras weights file in place of the bundled one.
        precision: arithmetic, one of `PRECISIONS`.
        winograd: whether blocks of images go by Winograd's algorithm; None takes what is faster on the processor.
        processor: what it runs on; None for that of this machine.
    """

    input_size = (224, 224)

    def __init__(
        self,
        weights: Path | None = None,
        precision: str = "auto",
        winograd: bool | None = None,
        processor: Processor | None = None,
    ) -> None:
        self._arrays = load_weights(weights)
        self._precision = precision
        self._winograd = winograd
        self._processor = processor

    @cached_property
    def spec(self) -> EncoderSpec:
        """The spec; equal weights give an equal spec whatever file they come from."""
        preprocessing = f"{decoding.PREPROCESSING} to 224 x 224; BGR minus {MEAN_BGR}; mean of block5_pool"
        return EncoderSpec("vgg16", "image", DIMENSION, preprocessing, digest_arrays(self._arrays))

    @cached_property
    def block(self) -> int:
        """Images taken at a time; the batches of a run are multiples of it, so that all go the same way."""
        return BLOCK if self._arithmetic.winograd else 1

    @cached_property
    def _arithmetic(self) -> Arithmetic:
        import tensorflow as tf

        processor = self._processor or Processor.here(gpu=bool(tf.config.list_logical_devices("GPU")))
        fast = common_arithmetic(self._precision, [processor])
        return fast if self._winograd is None else replace(fast, winograd=self._winograd)

    @cached_property
    def _replicas(self) -> Replicas:
        return Replicas(self._build)

    def _build(self) -> Callable[[NDArray[np.uint8]], Any]:
        """The network on the device of the scope; on a processor in blocks by Winograd's algorithm."""
        import tensorflow as tf

        dtype = tf.as_dtype(self._arithmetic.precision)
        small = self._network(dtype, convolution.direct, None)
        if self.block == 1:
            return small
        large = self._network(dtype, convolution.winograd, BLOCK)

        def forward(pixels: NDArray[np.uint8]) -> Any:
            if len(pixels) < BLOCK:
                return small(pixels)
            padded = np.concatenate([pixels, np.zeros((-len(pixels) % BLOCK, *pixels.shape[1:]), np.uint8)])
            parts = [large(padded[start : start + BLOCK]) for start in range(0, len(padded), BLOCK)]
            return tf.concat(parts, axis=0)[: len(pixels)]

        return forward

    def _network(self, dtype: Any, inner: Callable[..., Any], batch: int | None) -> Callable[..., Any]:
        import tensorflow as tf

        first = self._arrays[0][:, :, ::-1]  # takes RGB as it comes, for the BGR it was trained on
        layers = [convolution.direct(first, self._arrays[1], dtype)]
        layers += [inner(*pair, dtype) for pair in zip(self._arrays[2::2], self._arrays[3::2], strict=True)]

        @tf.function(input_signature=[tf.TensorSpec((batch, *self.input_size, 3), tf.uint8)], autograph=False)
        def network(pixels: tf.Tensor) -> tf.Tensor:
            centered = tf.cast(pixels, tf.float32) - tf.constant(MEAN_BGR[::-1])
            x, remaining = tf.cast(centered, dtype), iter(layers)
            for _, count in LAYERS:
                for layer in islice(remaining, count):
                    x = layer(x)
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            return tf.reduce_mean(tf.cast(x, tf.float32), axis=(1, 2))

        return network  # type: ignore[no-any-return]

    def graph(self) -> tuple[Callable[[Any], Any], list[Any]]:
        """See `Traceable`; the weights are constants of the function."""
        import tensorflow as tf

        return self._network(tf.float32, convolution.direct, None), []

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 224, 224, 3) RGB pixels to (n, 512) float32 vectors."""
        return self._replicas(pixels)


def load_weights(path: Path | None = None) -> list[NDArray[np.float32]]:
    """Kernels and biases of the 13 convolutions, in order, from a Keras weights file or the bundled float16 one.

    Raises:
        EncoderError: the file is missing or is not VGG16.
    """
    bundled = files("huse.extract.encoders") / "vgg16_float16.h5"
    source = Path(str(bundled)) if path is None else path
    names = [f"{block}_conv{i}" for block, count in LAYERS for i in range(1, count + 1)]
    try:
        with h5py.File(source, "r") as file:
            arrays = [array for name in names for array in _layer_arrays(file[name])]
        _require_shapes(names, arrays)
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EncoderError(
            f"{source}: not a Keras weights file of VGG16 ({reason}); check image_weights (--image-weights)"
        ) from error
    return arrays


def _require_shapes(names: list[str], arrays: list[NDArray[np.float32]]) -> None:
    channels = 3
    for name, kernel, bias in zip(names, arrays[::2], arrays[1::2], strict=True):
        width = WIDTHS[name.split("_")[0]]
        if kernel.shape != (3, 3, channels, width) or bias.shape != (width,):
            raise ValueError(f"layer {name} has a kernel of {kernel.shape}, not {(3, 3, channels, width)}")
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise ValueError(f"layer {name} has values that are no numbers")
        channels = width


def _layer_arrays(layer: h5py.Group) -> list[NDArray[np.float32]]:
    """Kernel and bias of a layer, wherever below it Keras's version has put them."""
    found: dict[int, NDArray[np.float32]] = {}

    def visit(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[item.ndim] = item[()].astype(np.float32)

    layer.visititems(visit)
    if sorted(found) != [1, 4]:
        raise ValueError(f"layer {layer.name} has no kernel and bias")
    return [found[4], found[1]]
