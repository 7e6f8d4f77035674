"""Both ways to a convolution against plain loops and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from huse.extract.encoders import convolution
from huse.extract.encoders.convolution import Layer


def plain(x: NDArray[np.float64], kernel: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = np.zeros((*x.shape[:3], len(bias))) + bias
    for i in range(3):
        for j in range(3):
            out += padded[:, i : i + height, j : j + width] @ kernel[i, j]
    return np.maximum(out, 0)


@pytest.mark.parametrize("way", [convolution.direct, convolution.winograd])
@pytest.mark.parametrize("height", [4, 7, 14])
def test_equals_plain_sums(way: object, height: int) -> None:
    rng = np.random.default_rng(height)
    x, kernel, bias = rng.normal(size=(2, height, 6, 5)), rng.normal(size=(3, 3, 5, 3)), rng.normal(size=3)
    layer: Layer = way(kernel.astype(np.float32), bias.astype(np.float32), tf.float32)  # type: ignore[operator]
    np.testing.assert_allclose(layer(tf.constant(x, tf.float32)), plain(x, kernel, bias), atol=1e-4)
