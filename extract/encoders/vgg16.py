"""`vgg16`: the convolutional base of VGG16 trained on ImageNet, and how its last blocks become one vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders import convolution
from huse.extract.encoders.arithmetic import Arithmetic, Processor, common_arithmetic
from huse.extract.encoders.names import sized
from huse.extract.encoders.replicas import Forward, Replicas, padded
from huse.extract.images import decoding
from huse.features.encoder_spec import EncoderSpec, digest_arrays
from huse.features.errors import EncoderError

if TYPE_CHECKING:
    import tensorflow as tf

LAYERS = ("block1", 2), ("block2", 2), ("block3", 3), ("block4", 3), ("block5", 3)
"""Blocks of the network and how many 3 x 3 convolutions each has."""

WIDTHS = {"block1": 64, "block2": 128, "block3": 256, "block4": 512, "block5": 512}
"""Channels of each block."""

MULTIPLE = 64
"""Images by which batches grow on a GPU; smaller ones grow by doubling."""

MEAN_BGR = (103.939, 116.779, 123.68)
"""Channel means of ImageNet that the published weights expect to be subtracted, in blue, green, red order."""

BLOCK = 16
"""Images a block by Winograd's algorithm. Compiling takes seconds, so fewer, such as a query, go directly."""

SIDE = 224
"""Of the images that the network was trained on."""

LEAST_SIDE = 32
"""Five poolings halve it to one place."""


@dataclass(frozen=True)
class Readout:
    """How the pooled blocks become one vector.

    Attributes:
        words: what it is, as the spec says it.
        blocks: those whose values it takes, one behind the other.
        flat: whether it takes every place, row by row, in place of their average.
    """

    words: str
    blocks: tuple[str, ...]
    flat: bool = False

    def dimension(self, side: int) -> int:
        """Length of the vector of images with a side of so many pixels."""
        places = (side // LEAST_SIDE) ** 2 if self.flat else 1
        return places * sum(WIDTHS[block] for block in self.blocks)

    def of(self, pooled: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The (n, dimension) vectors of (n, height, width, channels) pooled blocks, by name."""
        import tensorflow as tf

        parts = [tf.cast(pooled[block], tf.float32) for block in self.blocks]
        if self.flat:
            return tf.concat([tf.reshape(x, (-1, x.shape[1] * x.shape[2] * x.shape[3])) for x in parts], axis=1)
        return tf.concat([tf.reduce_mean(x, axis=(1, 2)) for x in parts], axis=1)


READOUTS = {
    "": Readout("mean of block5_pool", ("block5",)),
    "blocks": Readout("means of block4_pool and block5_pool", ("block4", "block5")),
    "flatten": Readout("block5_pool, every place", ("block5",), flat=True),
}
"""By the argument of the name ``vgg16:ARGUMENT``."""


class VGG16Encoder:
    """What a `Readout` makes of VGG16's blocks, by itself 512-d averages (Simonyan and Zisserman, arXiv 1409.1556).

    Args:
        weights: a Keras weights file in place of the bundled one.
        precision: arithmetic, one of `PRECISIONS`.
        winograd: whether blocks of images go by Winograd's algorithm; None takes what is faster on the processor.
        processor: what it runs on; None for that of this machine.
        readout: a key of `READOUTS`.
        side: of the images, in pixels.

    Raises:
        EncoderError: the weights cannot be read, or the side is below `LEAST_SIDE`.
    """

    def __init__(
        self,
        weights: Path | None = None,
        precision: str = "auto",
        winograd: bool | None = None,
        processor: Processor | None = None,
        readout: str = "",
        side: int = SIDE,
    ) -> None:
        if side < LEAST_SIDE:
            raise EncoderError(f"vgg16@{side}: five poolings leave nothing of {side} pixels; write vgg16@{LEAST_SIDE}")
        self.input_size = side, side
        self.name = sized("vgg16", None if side == SIDE else side, readout)
        self._readout = READOUTS[readout]
        self._arrays = load_weights(weights)
        self._precision = precision
        self._winograd = winograd
        self._processor = processor

    @cached_property
    def spec(self) -> EncoderSpec:
        """The spec; equal weights give an equal spec whatever file they come from."""
        side = self.input_size[0]
        preprocessing = f"{decoding.PREPROCESSING} to {side} x {side}; BGR minus {MEAN_BGR}; {self._readout.words}"
        dimension = self._readout.dimension(side)
        return EncoderSpec(self.name, "image", dimension, preprocessing, digest_arrays(self._arrays))

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

    def _build(self) -> Forward:
        """The network on the device of the scope; of many images in blocks by Winograd's algorithm, or compiled."""
        import tensorflow as tf

        dtype = tf.as_dtype(self._arithmetic.precision)
        small = self._network(dtype, convolution.direct)
        if self._arithmetic.winograd:
            large = _in_blocks(self._network(dtype, convolution.winograd, BLOCK))
        elif tf.config.list_logical_devices("GPU"):
            large = _in_few_sizes(self._network(dtype, convolution.direct, compiled=True))
        else:
            return small
        return lambda pixels: small(pixels) if len(pixels) < BLOCK else large(pixels)

    def _network(
        self, dtype: Any, inner: Callable[..., Any], batch: int | None = None, compiled: bool = False
    ) -> Callable[..., Any]:
        import tensorflow as tf

        first = self._arrays[0][:, :, ::-1]  # takes RGB as it comes, for the BGR it was trained on
        layers = [convolution.direct(first, self._arrays[1], dtype)]
        layers += [inner(*pair, dtype) for pair in zip(self._arrays[2::2], self._arrays[3::2], strict=True)]
        pixels_of = [tf.TensorSpec((batch, *self.input_size, 3), tf.uint8)]

        @tf.function(input_signature=pixels_of, autograph=False, jit_compile=compiled)
        def network(pixels: tf.Tensor) -> tf.Tensor:
            centered = tf.cast(pixels, tf.float32) - tf.constant(MEAN_BGR[::-1])
            x, remaining, pooled = tf.cast(centered, dtype), iter(layers), {}
            for block, count in LAYERS:
                for layer in islice(remaining, count):
                    x = layer(x)
                x = pooled[block] = tf.nn.max_pool2d(x, 2, 2, "VALID")
            return self._readout.of(pooled)

        return network  # type: ignore[no-any-return]

    def graph(self) -> tuple[Callable[[Any], Any], list[Any]]:
        """See `Traceable`; the weights are constants of the function."""
        import tensorflow as tf

        return self._network(tf.float32, convolution.direct), []

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, side, side, 3) RGB pixels to (n, dimension) float32 vectors."""
        return self._replicas(pixels)


def _in_blocks(network: Forward) -> Forward:
    """Takes any number of images, so many at a time as the network is made for."""
    import tensorflow as tf

    def forward(pixels: NDArray[np.uint8]) -> Any:
        filled = padded(pixels, -(-len(pixels) // BLOCK) * BLOCK)
        parts = [network(filled[start : start + BLOCK]) for start in range(0, len(filled), BLOCK)]
        return tf.concat(parts, axis=0)[: len(pixels)]

    return forward


def _in_few_sizes(network: Forward) -> Forward:
    """Takes any number of images, filled up to one of few numbers: the network is compiled for each anew."""

    def forward(pixels: NDArray[np.uint8]) -> Any:
        count = len(pixels)
        return network(padded(pixels, min(1 << (count - 1).bit_length(), -(-count // MULTIPLE) * MULTIPLE)))[:count]

    return forward


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
