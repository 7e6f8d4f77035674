"""Replicas on two logical processors: the same vectors as one, in order, whatever divides."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from huse.extract.encoders.replicas import Replicas, batch_size_here
from huse.features.errors import EncoderError

CODE = """
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from huse.extract.encoders.replicas import Replicas

built = []
def build():
    weight = tf.Variable([[1.0], [10.0], [100.0]])
    built.append(weight.device)
    @tf.function
    def forward(pixels):
        return tf.reduce_mean(tf.cast(pixels, tf.float32), axis=(1, 2)) @ weight
    return forward

replicas = Replicas(build, ["/CPU:0", "/CPU:1"])
assert [device[-1] for device in built] == ["0", "1"], built
for n in (1, 2, 5, 8):
    pixels = np.random.default_rng(n).integers(0, 256, (n, 4, 4, 3), np.uint8)
    expected = pixels.mean(axis=(1, 2)) @ [1, 10, 100]
    np.testing.assert_allclose(replicas(pixels)[:, 0], expected, rtol=1e-5)
"""


def test_a_batch_is_shared_among_devices() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True)


def test_a_full_device_gets_smaller_parts() -> None:
    sizes: list[int] = []

    def build() -> object:
        def forward(pixels: np.ndarray) -> tf.Tensor:  # type: ignore[type-arg]
            sizes.append(len(pixels))
            if len(pixels) > 3:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM")
            return tf.constant(pixels[:, 0, 0, :].astype(np.float32))

        return forward

    pixels = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), np.uint8)
    replicas = Replicas(build)  # type: ignore[arg-type]
    np.testing.assert_array_equal(replicas(pixels), pixels[:, 0, 0, :])
    np.testing.assert_array_equal(replicas(pixels), pixels[:, 0, 0, :])
    assert set(sizes) == {10, 5, 3}
    assert sizes[-8:] == [3] * 8, "found once, then kept"


def test_a_device_too_small_for_one_image_says_so() -> None:
    def forward(pixels: object) -> tf.Tensor:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    with pytest.raises(EncoderError, match="no memory for one item"):
        Replicas(lambda: forward)(np.zeros((4, 2, 2, 3), np.uint8))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
        tf.errors.InternalError(None, None, "Dst tensor is not initialized."),
        tf.errors.UnknownError(None, None, "Failed to allocate 3 GiB of scratch"),
        tf.errors.InvalidArgumentError(None, None, "No DNN in stream executor."),
        tf.errors.InternalError(None, None, "{{node Conv2D}} No BLAS for stream."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_however_a_device_tells_that_it_is_full(error: Exception) -> None:
    def forward(pixels: np.ndarray) -> tf.Tensor:  # type: ignore[type-arg]
        if len(pixels) > limit:
            raise error
        return tf.constant(pixels[:, 0, 0, :].astype(np.float32))

    pixels = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), np.uint8)
    limit = 2
    np.testing.assert_array_equal(Replicas(lambda: forward)(pixels), pixels[:, 0, 0, :])
    limit = 0
    with pytest.raises(EncoderError, match="no memory for one item"):
        Replicas(lambda: forward)(pixels)


def test_other_failures_are_one_line_and_not_tried_again() -> None:
    calls = []

    def forward(pixels: np.ndarray) -> tf.Tensor:  # type: ignore[type-arg]
        calls.append(len(pixels))
        raise tf.errors.InvalidArgumentError(None, None, "shapes differ\nin node x")

    def no_network() -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    with pytest.raises(
        EncoderError, match=r"the image encoder: TensorFlow cannot run it \(shapes differ\); name another"
    ) as caught:
        Replicas(lambda: forward)(np.zeros((4, 2, 2, 3), np.uint8))
    assert "\n" not in str(caught.value)
    assert calls == [4]
    with pytest.raises(EncoderError, match="no memory"):
        Replicas(no_network)


def test_no_images_give_no_vectors() -> None:
    def forward(pixels: np.ndarray) -> tf.Tensor:  # type: ignore[type-arg]
        return tf.constant(pixels[:, 0, 0, :].astype(np.float32))

    assert Replicas(lambda: forward)(np.zeros((0, 4, 4, 3), np.uint8)).shape == (0, 3)


def test_the_batch_size_follows_the_devices() -> None:
    gpus = len(tf.config.list_logical_devices("GPU"))
    assert batch_size_here() == (256 * gpus if gpus else 32)
