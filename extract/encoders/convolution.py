"""A 3 x 3 convolution with bias and ReLU, directly, or on a processor with half the multiplications."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from huse.features.processor import AMX

if TYPE_CHECKING:
    import tensorflow as tf

Layer = Callable[["tf.Tensor"], "tf.Tensor"]

OUTPUTS = 4
"""Output rows that Winograd's algorithm makes at a time, from `OUTPUTS` + 2 input rows."""

INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
KERNEL = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
OUTPUT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
"""B^T, G and A^T of F(4, 3) (Lavin and Gray, arXiv 1509.09308, section 4.3)."""


def winograd_is_faster(dtype: str, flags: Collection[str]) -> bool:
    """Which of the two ways a processor takes for large blocks; a function of its flags, so that all runs go one way.

    Where AMX multiplies bfloat16, the sums around Winograd's products take longer than the products that they save:
    80 images/s directly against 42; in float32 it saves a quarter of the time there too. Sums of half floats could
    overflow.

    Args:
        dtype: of the arithmetic, ``float32``, ``bfloat16`` or ``float16``.
        flags: of the processor, see `cpu_flags`.
    """
    return dtype == "float32" or (dtype == "bfloat16" and not set(flags) >= AMX)


def direct(kernel: NDArray[np.float32], bias: NDArray[np.float32], dtype: tf.DType) -> Layer:
    """The layer as TensorFlow has it; it fuses the three operations into one.

    Args:
        kernel: (3, 3, C, K).
        bias: (K,).
        dtype: of the arithmetic, of what goes in and of what comes out.
    """
    import tensorflow as tf

    weights, shift = tf.constant(kernel, dtype), tf.constant(bias, dtype)
    return lambda x: tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, weights, 1, "SAME"), shift))


def winograd(kernel: NDArray[np.float32], bias: NDArray[np.float32], dtype: tf.DType) -> Layer:
    """The same layer by Winograd's F(4, 3) along the height: six 1 x 3 convolutions for every four rows of 3 x 3.

    Sums before and after are taken in float32 by compiled loops, products in `dtype`. Arguments as for `direct`; what
    goes in has a known shape.
    """
    import tensorflow as tf

    # einsum over the kernel's rows: (6, 3) and (3, 3, C, K) to six kernels (1, 3, C, K)
    kernels = [tf.constant(k[None], dtype) for k in np.einsum("ir,rwck->iwck", KERNEL, kernel)]
    shift = tf.constant(bias, tf.float32)

    def layer(x: tf.Tensor) -> tf.Tensor:
        parts = _spreading(tuple(x.shape), dtype)(x)
        products = [tf.nn.conv2d(part, k, 1, "SAME") for part, k in zip(parts, kernels, strict=True)]
        return _gathering((*x.shape[:3], len(bias)), dtype)(products, shift)

    return layer


@cache
def _spreading(shape: tuple[int, ...], dtype: tf.DType) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """The sums before, from an input of a shape: compiled once for all layers and encoders."""
    import tensorflow as tf

    tiles = -(-shape[1] // OUTPUTS)
    below = tiles * OUTPUTS - shape[1] + 1

    @tf.function(jit_compile=True, autograph=False)
    def spread(x: tf.Tensor) -> list[tf.Tensor]:
        padded = tf.pad(tf.cast(x, tf.float32), [[0, 0], [1, below], [0, 0], [0, 0]])
        rows = [padded[:, i : i + OUTPUTS * (tiles - 1) + 1 : OUTPUTS] for i in range(OUTPUTS + 2)]
        return [tf.cast(part, dtype) for part in _combine(INPUT, rows)]

    return spread  # type: ignore[no-any-return]


@cache
def _gathering(shape: tuple[int, ...], dtype: tf.DType) -> Callable[[list[tf.Tensor], tf.Tensor], tf.Tensor]:
    """The sums after, to an output of a shape: compiled once for all layers and encoders."""
    import tensorflow as tf

    n, height, width, channels = shape

    @tf.function(jit_compile=True, autograph=False)
    def gather(products: list[tf.Tensor], shift: tf.Tensor) -> tf.Tensor:
        rows = tf.stack(_combine(OUTPUT, [tf.cast(p, tf.float32) for p in products]), axis=2)
        whole = tf.reshape(rows, [n, -1, width, channels])[:, :height]
        return tf.cast(tf.nn.relu(whole + shift), dtype)

    return gather  # type: ignore[no-any-return]


def _combine(matrix: NDArray[Any], parts: list[tf.Tensor]) -> list[tf.Tensor]:
    """A small constant matrix times a vector of tensors."""
    return [sum(float(c) * part for c, part in zip(row, parts, strict=True) if c) for row in matrix]
