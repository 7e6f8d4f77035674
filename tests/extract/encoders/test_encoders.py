"""The real encoders on real images and texts."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from samples import cosines, read_csv
from threadpoolctl import threadpool_info, threadpool_limits

from huse.extract.encoders import ImageEncoder, image_encoder, text_encoder
from huse.extract.encoders.use import PART
from huse.extract.encoders.vgg16 import BLOCK, LAYERS, MEAN_BGR, VGG16Encoder, _in_few_sizes, load_weights
from huse.extract.images.decoding import decode_image
from huse.extract.images.reading import read_image
from huse.features.errors import EncoderError

OFFICIAL = os.environ.get("HUSE_VGG16_WEIGHTS", "")


SIDE = 96
"""Of images that take a fifth of the time, and whose blocks end beside Winograd's tiles as those of 224 pixels do."""


def images(emoji: Path, n: int, side: int = SIDE) -> NDArray[np.uint8]:
    rows = read_csv(emoji)[:: 1911 // n][:n]
    return np.stack([decode_image(read_image(emoji.parent / row["image"]), (side, side)) for row in rows])


@cache
def vgg16(precision: str) -> ImageEncoder:
    """Made once, as compiling Winograd's algorithm takes longer than encoding."""
    return image_encoder(f"vgg16@{SIDE}", precision=precision)


@pytest.mark.xdist_group("vgg16")
def test_vgg16_equals_kerass_own_preprocessing_and_network(emoji: Path) -> None:
    import keras

    pixels = images(emoji, 4, 224)
    network = keras.applications.VGG16(include_top=False, weights=None, pooling="avg", input_shape=(224, 224, 3))
    network.set_weights(load_weights())
    prepared = keras.applications.vgg16.preprocess_input(pixels.astype(np.float32))
    expected = network.predict(prepared, verbose=0)
    ours = image_encoder("vgg16", precision="float32").encode(pixels)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(prepared[0, 0, 0], pixels[0, 0, 0, ::-1] - np.array(MEAN_BGR), rtol=1e-5)


@pytest.mark.xdist_group("vgg16")
@pytest.mark.parametrize("count", [6, BLOCK + 1])
def test_precisions_agree(emoji: Path, count: int) -> None:
    pixels = images(emoji, count)
    exact = vgg16("float32").encode(pixels)
    for precision in ("bfloat16", "float16"):
        rounded = vgg16(precision).encode(pixels)
        assert cosines(exact, rounded).min() > 0.999


FEATURES = """
import sys
import numpy as np
from huse.extract.encoders import image_encoder
pixels = np.load(sys.argv[1])
np.save(sys.argv[2], image_encoder(sys.argv[4], precision=sys.argv[3]).encode(pixels))
"""


@pytest.mark.slow
@pytest.mark.xdist_group("vgg16")
def test_threads_and_libraries_change_nothing_that_counts(emoji: Path, tmp_path: Path) -> None:
    """As docs/scaling.md states: float32 to 0.0001 of the vectors' size, bfloat16 to a cosine of 0.999."""
    pixels = images(emoji, BLOCK)
    np.save(tmp_path / "pixels.npy", pixels)
    here = vgg16("float32").encode(pixels)
    for precision, environment in (
        ("float32", {"TF_NUM_INTRAOP_THREADS": "1", "TF_ENABLE_ONEDNN_OPTS": "0"}),
        ("auto", {"TF_NUM_INTRAOP_THREADS": "1"}),
    ):
        files = str(tmp_path / "pixels.npy"), str(tmp_path / "v.npy")
        command = [sys.executable, "-c", FEATURES, *files, precision, f"vgg16@{SIDE}"]
        subprocess.run(command, env=os.environ | environment, check=True)
        there = np.load(tmp_path / "v.npy")
        assert cosines(here, there).min() > 0.999
        if precision == "float32":
            np.testing.assert_allclose(there, here, atol=1e-4 * np.abs(here).max())


@pytest.mark.slow
def test_both_ways_agree(emoji: Path) -> None:
    pixels = images(emoji, BLOCK)
    ways = [VGG16Encoder(precision="bfloat16", winograd=way, side=SIDE).encode(pixels) for way in (False, True)]
    assert cosines(*ways).min() > 0.999


@pytest.mark.xdist_group("vgg16")
def test_batch_size_and_order_change_nothing(emoji: Path) -> None:
    """Also not where Winograd's blocks begin or end."""
    pixels = images(emoji, BLOCK + 3)
    encoder = vgg16("float32")
    whole = encoder.encode(pixels)
    order = np.random.default_rng(0).permutation(len(pixels))
    alone = np.concatenate([encoder.encode(pixels[:BLOCK]), encoder.encode(pixels[BLOCK:])])
    np.testing.assert_allclose(encoder.encode(pixels[order]), whole[order], atol=1e-4)
    np.testing.assert_allclose(alone, whole, atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not OFFICIAL, reason="HUSE_VGG16_WEIGHTS does not name the float32 Keras weights file")
def test_bundled_weights_stand_for_the_float32_file(emoji: Path) -> None:
    pixels = images(emoji, 50, 224)
    bundled = image_encoder("vgg16", precision="float32")
    official = image_encoder("vgg16", Path(OFFICIAL), precision="float32")
    assert cosines(bundled.encode(pixels), official.encode(pixels)).min() > 0.9999
    assert bundled.spec.weights != official.spec.weights


def test_weights_count_in_the_fingerprint_wherever_they_lie(tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5"
    arrays = iter(load_weights())
    with h5py.File(copy, "w") as file:  # nested as Keras 2 wrote it
        for block, count in (("block1", 2), ("block2", 2), ("block3", 3), ("block4", 3), ("block5", 3)):
            for i in range(1, count + 1):
                name = f"{block}_conv{i}"
                file[f"{name}/{name}/kernel:0"], file[f"{name}/{name}/bias:0"] = next(arrays), next(arrays)
    assert image_encoder("vgg16", copy).spec == image_encoder("vgg16").spec
    with h5py.File(copy, "a") as file:
        file["block5_conv3/block5_conv3/bias:0"][0] += 1
    assert image_encoder("vgg16", copy).spec.fingerprint != image_encoder("vgg16").spec.fingerprint


def test_wrong_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(b"no weights")
    for path in (tmp_path / "w.h5", tmp_path / "absent.h5"):
        with pytest.raises(EncoderError, match=r"not a Keras weights file of VGG16.*--image-weights"):
            image_encoder("vgg16", path)


@pytest.mark.parametrize(
    ("shape", "value", "message"),
    [((3, 3, 3, 63), 0.0, "has a kernel of"), ((3, 3, 3, 64), np.nan, "has values that are no numbers")],
)
def test_weights_of_other_shapes_or_without_numbers_are_refused(
    shape: tuple[int, ...], value: float, message: str, tmp_path: Path
) -> None:
    arrays = load_weights()
    arrays[0] = np.full(shape, value, np.float32)
    values = iter(arrays)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        for block, count in LAYERS:
            for i in range(1, count + 1):
                file[f"{block}_conv{i}/kernel:0"], file[f"{block}_conv{i}/bias:0"] = next(values), next(values)
    with pytest.raises(EncoderError, match=rf"layer block1_conv1 {message}.*--image-weights"):
        image_encoder("vgg16", tmp_path / "w.h5")


def test_options_that_an_encoder_does_not_take_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="has weights of its own; leave out image_weights"):
        image_encoder(f"hub:{tmp_path}", tmp_path / "w.h5")
    with pytest.raises(EncoderError, match="no precision 'bf16'; it is one of auto, float32"):
        image_encoder("vgg16", precision="bf16")


def test_the_bundled_fingerprints_are_the_same_everywhere() -> None:
    assert image_encoder("vgg16").spec.fingerprint[:16] == "e6f039d356dcb5d7"
    assert text_encoder("use").spec.fingerprint[:16] == "8535908edbace5e8"


def test_use_knows_what_words_mean() -> None:
    encoder = text_encoder("use")
    vectors = encoder.encode(["a dolphin in the sea", "ein Delfin im Meer", "a red racing car"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3
    alone = encoder.encode(["a red racing car"])
    np.testing.assert_allclose(alone[0], vectors[2], atol=1e-5)


def test_use_gives_any_number_of_texts_their_own_vectors() -> None:
    """Whichever thread had them, and leaves BLAS the threads that it had."""
    encoder, texts = text_encoder("use"), [f"{number} red cars" for number in range(2 * PART + 1)]
    with threadpool_limits(limits=2, user_api="blas"):
        vectors = encoder.encode(texts)
        assert {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"} == {2}
    assert vectors.shape == (len(texts), 512)
    for at in (0, PART - 1, PART, 2 * PART):
        np.testing.assert_allclose(vectors[at], encoder.encode([texts[at]])[0], atol=1e-5)
    assert encoder.encode([]).shape == (0, 512)


def test_a_text_manifest_loads_no_tensorflow() -> None:
    code = (
        "import sys; from huse.extract.encoders import text_encoder; import huse.extract.extract;"
        "text_encoder('use').encode(['a']); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_network_that_is_compiled_for_each_number_of_images_gets_few() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 1, 1, 3), np.uint8)
    seen = []

    def network(padded: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(len(padded))
        return padded[:, 0, 0].astype(np.float32)

    for count in range(1, len(pixels) + 1):
        np.testing.assert_array_equal(_in_few_sizes(network)(pixels[:count]), pixels[:count, 0, 0])
    assert sorted(set(seen)) == [1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 320]
