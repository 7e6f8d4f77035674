"""What only a GPU can show: its vectors are the processor's, and a full one takes smaller batches.

`make gpu` runs these and the benchmarks beside a GPU. Devices within a GPU are made before TensorFlow starts, so those
tests run in a process of their own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from samples import cosines

from huse.extract.encoders.replicas import device_names
from huse.extract.encoders.vgg16 import BLOCK, VGG16Encoder
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel, load_model
from huse.train.network.forward import features_of

pytestmark = pytest.mark.gpu

EQUAL = 0.999
"""Least cosine of vectors that count as the same."""

WITHIN = """
import sys
import numpy as np
import tensorflow as tf
gpu = tf.config.list_physical_devices("GPU")[0]
parts = [tf.config.LogicalDeviceConfiguration(memory_limit=int(mib)) for mib in sys.argv[1:]]
tf.config.set_logical_device_configuration(gpu, parts)
from huse.extract.encoders.replicas import Replicas, device_names

sizes = []

def build():
    weight = tf.random.stateless_normal((3, 3, 3, 64), (1, 2))
    bias = tf.random.stateless_normal((64,), (3, 4))
    network = tf.function(lambda x: tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(x, weight, 1, "SAME") + bias), (1, 2)))

    def forward(pixels):
        sizes.append(len(pixels))
        return network(tf.cast(pixels, tf.float32) / 255)

    return forward

pixels = np.random.default_rng(0).integers(0, 256, (256, 224, 224, 3), np.uint8)
found = Replicas(build)(pixels)
"""
"""Of so many MiB each, logical devices on the first GPU; 256 images take 3.3 GB after one convolution."""

SAME = """
expected = Replicas(build, ["/CPU:0"])(pixels)
cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
assert cosine.min() > 0.999, cosine.min()
"""


@pytest.fixture(scope="session", autouse=True)
def gpus() -> int:
    """How many there are; of the session, so that nothing is made for tests that are skipped."""
    found = len(tf.config.list_physical_devices("GPU"))
    if not found:
        pytest.skip("TensorFlow sees no GPU; `pip install 'tensorflow[and-cuda]'` brings what it needs beside a driver")
    return found


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    """Images with edges and surfaces: noise alone gives nearly the same vector whatever the network does.

    More than a block of them, so that the network is compiled.
    """
    small = np.random.default_rng(0).integers(0, 256, (BLOCK + 8, 7, 7, 3), np.uint8)
    return small.repeat(32, axis=1).repeat(32, axis=2)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("readout", ["", "blocks"])
def test_features_are_those_of_the_processor(precision: str, readout: str, pixels: NDArray[np.uint8]) -> None:
    encoder = VGG16Encoder(precision=precision, readout=readout)
    with tf.device("/CPU:0"):
        expected = VGG16Encoder(readout=readout).graph()[0](tf.constant(pixels)).numpy()
    assert cosines(encoder.encode(pixels), expected).min() > EQUAL
    assert cosines(expected[1:], expected[:-1]).min() < EQUAL, "or else equal would say nothing"


def test_batches_are_shared_among_all(gpus: int, pixels: NDArray[np.uint8]) -> None:
    if gpus < 2:
        pytest.skip("one GPU alone; its halves are tested below")
    assert len(device_names()) == gpus
    encoder = VGG16Encoder(precision="float32")
    np.testing.assert_allclose(encoder.encode(pixels[:5]), encoder.encode(pixels)[:5], rtol=1e-3, atol=1e-3)


def within_one_gpu(code: str, *mib: int) -> None:
    done = subprocess.run([sys.executable, "-c", WITHIN + code, *map(str, mib)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_full_gpu_gets_smaller_batches() -> None:
    within_one_gpu("assert sizes[0] == 256 and sizes[-1] <= 128, sizes\n" + SAME, 2048)


def test_two_replicas_share_a_batch() -> None:
    within_one_gpu("assert len(device_names()) == 2 and sizes == [128, 128], sizes\n" + SAME, 4096, 4096)


def test_towers_give_the_processor_s_embeddings(few_model: Path, few_store: Path) -> None:
    """What `few_model` fits is fitted on the GPU too."""
    shard = Store.open(few_store).read(0)
    found = embeddings(load_model(few_model), shard)
    with tf.device("/CPU:0"):
        expected = embeddings(load_model(few_model), shard)
    assert found.keys() == expected.keys() == {"image", "text"}
    for modality, vectors in expected.items():
        assert cosines(found[modality], vectors).min() > EQUAL, modality


def embeddings(trained: TrainedModel, rows: Rows) -> dict[str, NDArray[np.float32]]:
    outputs = trained.forward(features_of(rows, trained.network)).given()
    return {str(modality): output.embedding for modality, output in outputs.items()}
