"""What is taken from VGG16's blocks, and images of other sizes, against Keras's own network."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from huse.extract.encoders import image_encoder
from huse.extract.encoders.vgg16 import VGG16Encoder, load_weights

SIDE = 64


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module")
def pooled(pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Blocks 4 and 5 as Keras has them."""
    network = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    network.set_weights(load_weights())
    outputs = [network.get_layer(f"block{block}_pool").output for block in (4, 5)]
    prepared = keras.applications.vgg16.preprocess_input(pixels.astype(np.float32))
    return [np.asarray(values) for values in keras.Model(network.input, outputs)(prepared)]


@pytest.mark.parametrize("winograd", [False, True])
def test_each_readout_is_what_keras_gives(
    winograd: bool, pixels: NDArray[np.uint8], pooled: list[NDArray[np.float32]]
) -> None:
    block4, block5 = pooled
    expected = {
        "": block5.mean(axis=(1, 2)),
        "blocks": np.hstack([block4.mean(axis=(1, 2)), block5.mean(axis=(1, 2))]),
        "flatten": block5.reshape(len(pixels), -1),
    }
    many = np.concatenate([pixels] * 6)  # more than a block
    for readout, vectors in expected.items():
        encoder = VGG16Encoder(precision="float32", winograd=winograd, readout=readout, side=SIDE)
        found = encoder.encode(many)
        assert found.shape == (len(many), encoder.spec.dimension)
        np.testing.assert_allclose(found, np.concatenate([vectors] * 6), atol=2e-3 * vectors.max())


def test_names_and_fingerprints_tell_sizes_and_readouts_apart() -> None:
    dimensions = {"vgg16": 512, "vgg16:blocks": 1024, "vgg16@64": 512, "vgg16@64:flatten": 2048, "vgg16:flatten": 25088}
    specs = {name: image_encoder(name).spec for name in dimensions}
    assert {name: spec.dimension for name, spec in specs.items()} == dimensions
    assert [spec.name for spec in specs.values()] == list(dimensions)
    assert len({spec.fingerprint for spec in specs.values()}) == len(specs)
    assert image_encoder("vgg16@224").spec == specs["vgg16"]


@pytest.mark.slow
def test_networks_of_keras_take_other_sizes(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    network = keras.applications.MobileNet(weights=None, include_top=False, pooling="avg", input_shape=(SIDE, SIDE, 3))
    network.save_weights(tmp_path / "mobilenet.weights.h5")
    encoder = image_encoder("mobilenet@64", tmp_path / "mobilenet.weights.h5", precision="float32")
    prepared = keras.applications.mobilenet.preprocess_input(pixels.astype(np.float32))
    np.testing.assert_allclose(encoder.encode(pixels), network(prepared), atol=1e-4)
    assert (encoder.spec.name, encoder.spec.dimension) == ("mobilenet@64", 1024)
    own = image_encoder("mobilenet@224", tmp_path / "mobilenet.weights.h5")
    assert own.spec == image_encoder("mobilenet", tmp_path / "mobilenet.weights.h5").spec
