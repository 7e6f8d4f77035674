"""`onnx:` models of images, compared with onnxruntime called directly, and with Pillow and NumPy written plainly."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_models
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper
from onnx_models import CLIP, DIMENSION, SIDE
from PIL import Image

from huse.extract.encoders import image_encoder, text_encoder
from huse.extract.encoders.onnx.image import OnnxImageEncoder
from huse.extract.encoders.protocol import Batching, Closing, Framed, ImageEncoder, OfFiles, framing_of
from huse.extract.images.decoding import decode_image
from huse.features.errors import EncoderError

SIZES = ((100, 70), (70, 100), (40, 40), (31, 200))


def images() -> list[Image.Image]:
    dice = np.random.default_rng(3)
    return [Image.fromarray(dice.integers(0, 256, (height, width, 3), np.uint8)) for width, height in SIZES]


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def plainly(image: Image.Image, config: dict[str, Any]) -> NDArray[np.float32]:
    """What transformers' CLIPImageProcessor makes of an image, step by step."""
    if config["do_resize"]:
        side, how = config["size"]["shortest_edge"], Image.Resampling(config["resample"])
        short, long = sorted(image.size)
        other = int(side * long / short)
        size = (side, other) if image.width <= image.height else (other, side)
        image = image.resize((size[0], image.height), how).resize(size, how)
    if config["do_center_crop"]:
        height, width = config["crop_size"]["height"], config["crop_size"]["width"]
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    values = np.asarray(image).astype(np.float32)
    if config["do_rescale"]:
        values = values * np.float32(config["rescale_factor"])
    if config["do_normalize"]:
        values = (values - np.array(config["image_mean"], np.float32)) / np.array(config["image_std"], np.float32)
    return np.moveaxis(values, -1, 0)


def directly(graph: Path, values: NDArray[Any], output: int = 0) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.asarray(session.run(None, {name: values[None]})[output][0], np.float32)


def encode(encoder: ImageEncoder, many: list[Image.Image]) -> NDArray[np.float32]:
    framing = framing_of(encoder)
    return encoder.encode(np.stack([decode_image(png(image), framing) for image in many]))


def folder_of(folder: Path, config: dict[str, Any], **model: Any) -> Path:
    onnx_models.vision_model(folder / "onnx" / "model.onnx", **model)
    onnx_models.write(folder / "preprocessor_config.json", config)
    return folder


def test_clip_equals_its_parts_called_directly(tmp_path: Path) -> None:
    folder = onnx_models.clip(tmp_path / "clip vit")
    encoder = image_encoder(f"onnx:{folder}")
    vectors = encode(encoder, images())
    assert vectors.dtype == np.float32
    for image, vector in zip(images(), vectors, strict=True):
        expected = directly(folder / "onnx" / "vision_model.onnx", plainly(image, CLIP))
        np.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-5)
    assert (encoder.spec.name, encoder.spec.modality, encoder.spec.dimension) == ("onnx", "image", DIMENSION)
    assert encoder.input_size == (SIDE, SIDE)
    assert "shorter side resized bicubic to 32, middle 32 x 32" in encoder.spec.preprocessing
    assert encoder.spec.preprocessing.endswith("; image_embeds")
    for kind in (ImageEncoder, OfFiles, Closing, Framed, Batching):
        assert isinstance(encoder, kind)
    assert encoder.encode(np.zeros((0, SIDE, SIDE, 3), np.uint8)).shape == (0, DIMENSION)
    assert text_encoder(f"onnx:{folder}").spec.dimension == DIMENSION


CHANGES: list[dict[str, Any]] = [
    {"size": 40},
    {"size": {"shortest_edge": 48}, "resample": 2},
    {"resample": 1},
    {"resample": 0},
    {"resample": 4},
    {"resample": 5},
    {"crop_size": 24},
    {"crop_size": {"height": 24, "width": 40}},
    {"do_resize": False},
    {"do_rescale": False},
    {"do_normalize": False},
    {"do_rescale": False, "do_normalize": False},
    {"rescale_factor": 1 / 127.5},
    {"image_mean": [0.5, 0.4, 0.3]},
    {"image_std": [0.1, 0.2, 0.3]},
    {"do_convert_rgb": False},
    {"image_processor_type": "CLIPImageProcessorFast"},
    {"image_processor_type": None, "feature_extractor_type": "CLIPFeatureExtractor"},
    {"image_processor_type": None},
    {"image_processor_type": "BitImageProcessor"},
    {"do_pad": False, "unheard_of": [1]},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_every_key_is_obeyed(change: dict[str, Any], tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {**CLIP, **change})
    told = {**CLIP, **change}
    if isinstance(told["size"], int):
        told["size"] = {"shortest_edge": told["size"]}
    if isinstance(told["crop_size"], int):
        told["crop_size"] = {"height": told["crop_size"], "width": told["crop_size"]}
    for image, vector in zip(images(), encode(image_encoder(f"onnx:{folder}"), images()), strict=True):
        expected = directly(folder / "onnx" / "model.onnx", plainly(image, told))
        np.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            "CLIPImageProcessor",
            "shorter side resized bicubic to 224, middle 224 x 224; times 0.00392156863, minus [0.481",
        ),
        (
            "BitImageProcessor",
            "shorter side resized bicubic to 224, middle 224 x 224; times 0.00392156863, minus [0.481",
        ),
        ("SiglipImageProcessor", "resized bicubic to 224 x 224; times 0.00392156863, minus [0.5, 0.5, 0.5], by [0.5"),
        ("ViTFeatureExtractor", "resized bilinear to 224 x 224; times 0.00392156863, minus [0.5, 0.5, 0.5], by [0.5"),
        ("DeiTImageProcessor", "resized bicubic to 256 x 256, middle 224 x 224; times 0.00392156863, minus [0.5"),
    ],
)
def test_what_lacks_is_as_transformers_has_it(kind: str, words: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"image_processor_type": kind})
    assert words in image_encoder(f"onnx:{folder}").spec.preprocessing


def test_a_number_is_a_square_where_the_processor_takes_it_so(tmp_path: Path) -> None:
    told = {"image_processor_type": "ViTImageProcessor", "size": 32, "image_mean": 0.5, "image_std": [0.5] * 3}
    folder = folder_of(tmp_path, told)
    encoder = image_encoder(f"onnx:{folder}")
    assert encoder.input_size == (32, 32)
    image = images()[0]
    small = image.resize((32, image.height), Image.Resampling.BILINEAR).resize((32, 32), Image.Resampling.BILINEAR)
    values = (np.moveaxis(np.asarray(small, np.float32), -1, 0) / 255 - 0.5) / 0.5
    np.testing.assert_allclose(
        encode(encoder, [image])[0],
        directly(folder / "onnx" / "model.onnx", values.astype(np.float32)),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (None, r"has no preprocessor_config\.json.*save_pretrained"),
        ({"image_processor_type": "SamImageProcessor"}, "SamImageProcessor does more than huse knows; it knows Beit"),
        ({"image_processor_type": "LlavaNextImageProcessor"}, "does more than huse knows"),
        ({**CLIP, "do_flip_channel_order": True}, "asks for do_flip_channel_order, which huse does not do"),
        ({**CLIP, "do_pad": True}, "asks for do_pad"),
        ({"size": 32, "resample": 3}, "has no image_mean, and no image_processor_type"),
        ({**CLIP, "size": "large"}, "size is 'large', not a number of pixels from 1 to 4096"),
        ({**CLIP, "size": 0}, "size is 0"),
        ({**CLIP, "size": -3}, "size is -3"),
        ({**CLIP, "size": 10**9}, "size is 1000000000"),
        ({**CLIP, "size": True}, "size is True"),
        ({**CLIP, "size": {"longest_edge": 32}}, "size is .*which is known by height and width, or shortest_edge"),
        ({**CLIP, "size": {}}, "size is {}"),
        ({**CLIP, "crop_size": [1, 2, 3]}, r"crop_size is \[1, 2, 3\]"),
        ({**CLIP, "resample": 9}, "resample is 9, not one of Pillow's filters"),
        ({**CLIP, "resample": "bicubic"}, "resample is 'bicubic'"),
        ({**CLIP, "resample": [3]}, r"resample is \[3\]"),
        ({**CLIP, "rescale_factor": 10**400}, "rescale_factor is 1000.*, not a number"),
        ({**CLIP, "image_processor_type": ["CLIPImageProcessor"]}, "does more than huse knows"),
        ({**CLIP, "image_mean": [0.5, 0.5]}, r"image_mean is \[0.5, 0.5\], not a number for each of three colors"),
        ({**CLIP, "image_std": [1, 0, 1]}, "image_std has a 0"),
        ({**CLIP, "image_std": ["a", 1, 1]}, "image_std is"),
        ({**CLIP, "rescale_factor": "1/255"}, "rescale_factor is '1/255', not a number"),
        ({**CLIP, "rescale_factor": float("nan")}, "rescale_factor is nan"),
        ({**CLIP, "do_resize": "yes"}, "do_resize is 'yes', not true or false"),
        ({**CLIP, "do_center_crop": False}, "leaves images of many sizes"),
        ([1], "not a JSON object"),
    ],
)
def test_settings_that_cannot_be_obeyed_are_one_line(told: Any, message: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, told)
    if told is None:
        (folder / "preprocessor_config.json").unlink()
    with pytest.raises(EncoderError, match=message) as caught:
        image_encoder(f"onnx:{folder}")
    assert "\n" not in str(caught.value)


def test_settings_may_stand_in_those_of_the_whole_processor(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, CLIP)
    words = image_encoder(f"onnx:{folder}").spec.preprocessing
    (folder / "preprocessor_config.json").unlink()
    onnx_models.write(folder / "processor_config.json", {"image_processor": CLIP, "processor_class": "CLIPProcessor"})
    assert image_encoder(f"onnx:{folder}").spec.preprocessing == words


@pytest.mark.parametrize(
    ("outputs", "taken"),
    [
        (("pooler_output", "last_hidden_state", "image_embeds"), "image_embeds"),
        (("last_hidden_state", "pooler_output"), "pooler_output"),
        (("last_hidden_state",), "cls of last_hidden_state"),
        (("anything",), "anything"),
    ],
)
def test_the_output_is_chosen_by_known_names(outputs: tuple[str, ...], taken: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, CLIP, outputs=outputs)
    encoder = image_encoder(f"onnx:{folder}")
    assert encoder.spec.preprocessing.endswith(f"; {taken}")
    name = taken.rpartition(" ")[2]
    expected = directly(folder / "onnx" / "model.onnx", plainly(images()[0], CLIP), outputs.index(name))
    np.testing.assert_allclose(
        encode(encoder, images()[:1])[0], expected[0] if expected.ndim == 2 else expected, rtol=1e-4, atol=1e-5
    )


def test_an_output_and_its_pooling_can_be_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, CLIP, outputs=("pooler_output", "last_hidden_state"))
    mean = image_encoder(f"onnx:{folder}#last_hidden_state:mean")
    np.testing.assert_allclose(
        encode(mean, images()), encode(image_encoder(f"onnx:{folder}"), images()), rtol=1e-4, atol=1e-5
    )
    assert mean.spec.known_as == f"onnx:{folder}#last_hidden_state:mean"
    with pytest.raises(EncoderError, match="no pooling 'men' here; it is one of cls, max"):
        image_encoder(f"onnx:{folder}#last_hidden_state:men")


def test_a_map_of_features_is_averaged(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["pixel_values", "kernel"], ["last_hidden_state"], strides=[8, 8])]
    weights = {"kernel": onnx_models.vision_weights()["kernel"]}
    inputs = [onnx_models.value("pixel_values", ["n", 3, "h", "w"])]
    outputs = [onnx_models.value("last_hidden_state", ["n", DIMENSION, "y", "x"])]
    onnx_models.save(tmp_path / "map" / "model.onnx", nodes, inputs, outputs, weights)
    onnx_models.write(tmp_path / "map" / "preprocessor_config.json", CLIP)
    flat = image_encoder(f"onnx:{folder_of(tmp_path / 'flat', CLIP)}")
    encoder = image_encoder(f"onnx:{tmp_path}/map")
    np.testing.assert_allclose(encode(encoder, images()), encode(flat, images()), rtol=1e-4, atol=1e-5)
    assert encoder.spec.dimension == DIMENSION


@pytest.mark.parametrize("shape", [(3, 3, SIDE, SIDE), ("n", 3, SIDE, SIDE), (1, 3, "h", "w")])
def test_a_graph_of_one_batch_or_size_gets_it(shape: tuple[int | str, ...], tmp_path: Path) -> None:
    expected = encode(image_encoder(f"onnx:{folder_of(tmp_path / 'a', CLIP)}"), images())
    fixed = image_encoder(f"onnx:{folder_of(tmp_path / 'b', CLIP, shape=shape)}")
    np.testing.assert_allclose(encode(fixed, images()), expected, rtol=1e-4, atol=1e-5)


def test_images_of_another_size_than_the_graph_takes_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, CLIP, shape=("n", 3, 48, 48))
    with pytest.raises(
        EncoderError, match=r"takes images of 48 x 48, and preprocessor_config\.json makes them 32 x 32"
    ):
        image_encoder(f"onnx:{folder}")


def test_channels_may_come_last(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "first", CLIP)
    model = onnx.load(str(first / "onnx" / "model.onnx"))
    turn = helper.make_node("Transpose", ["pixels"], ["pixel_values"], perm=[0, 3, 1, 2])
    inputs = [onnx_models.value("pixels", ["n", SIDE, SIDE, 3])]
    outputs = [onnx_models.value("image_embeds", ["n", DIMENSION])]
    weights = {"kernel": onnx_models.vision_weights()["kernel"]}
    onnx_models.save(tmp_path / "last" / "model.onnx", [turn, *model.graph.node], inputs, outputs, weights)
    onnx_models.write(tmp_path / "last" / "preprocessor_config.json", CLIP)
    last = image_encoder(f"onnx:{tmp_path}/last")
    np.testing.assert_allclose(
        encode(last, images()), encode(image_encoder(f"onnx:{first}"), images()), rtol=1e-4, atol=1e-5
    )


def test_float16_is_cast(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, CLIP)
    half = onnx_models.vision_model(folder / "onnx" / "model_fp16.onnx", half=True)
    vectors = encode(image_encoder(f"onnx:{half}"), images())
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, encode(image_encoder(f"onnx:{folder}"), images()), atol=5e-2)


def test_weights_in_files_of_their_own_count(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m", CLIP)
    expected = encode(image_encoder(f"onnx:{folder}"), images())
    path = folder / "onnx" / "model.onnx"
    model = onnx.load(str(path))
    path.unlink()
    onnx.save(model, str(path), save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    encoder = image_encoder(f"onnx:{folder}")
    before = encoder.spec.fingerprint
    np.testing.assert_allclose(encode(encoder, images()), expected, rtol=1e-5)
    data = folder / "onnx" / "model.onnx_data"
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.write_bytes(content)
    assert image_encoder(f"onnx:{folder}").spec.fingerprint != before
    data.unlink()
    with pytest.raises(EncoderError, match=r"its weights model\.onnx_data are missing; put them beside it"):
        image_encoder(f"onnx:{folder}")


def test_weights_beside_a_graph_may_be_links_as_in_the_cache_of_the_hub(tmp_path: Path) -> None:
    folder, blobs = folder_of(tmp_path / "snapshots" / "m", CLIP), tmp_path / "blobs"
    expected = encode(image_encoder(f"onnx:{folder}"), images())
    model = onnx.load(str(folder / "onnx" / "model.onnx"))
    (folder / "onnx" / "model.onnx").unlink()
    onnx.save(model, str(folder / "onnx" / "model.onnx"), save_as_external_data=True, location="x", size_threshold=0)
    blobs.mkdir()
    for number, file in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        file.rename(blobs / str(number))
        file.symlink_to(os.path.relpath(blobs / str(number), file.parent))
    np.testing.assert_allclose(encode(image_encoder(f"onnx:{folder}"), images()), expected, rtol=1e-5)


def test_both_modalities_in_one_graph_get_what_they_need(tmp_path: Path) -> None:
    onnx_models.both_model(tmp_path / "model.onnx")
    onnx_models.write(tmp_path / "preprocessor_config.json", CLIP)
    alone = image_encoder(f"onnx:{folder_of(tmp_path / 'alone', CLIP)}")
    both = image_encoder(f"onnx:{tmp_path}")
    np.testing.assert_allclose(encode(both, images()), encode(alone, images()), rtol=1e-4, atol=1e-5)


def test_the_fingerprint_changes_with_every_file_and_output(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m", CLIP, outputs=("pooler_output", "image_embeds"))
    before = image_encoder(f"onnx:{folder}").spec
    shutil.copytree(folder, tmp_path / "copy")
    assert image_encoder(f"onnx:{tmp_path}/copy").spec == before
    assert image_encoder(f"onnx:{folder}#pooler_output").spec.fingerprint != before.fingerprint
    onnx_models.write(folder / "preprocessor_config.json", {**CLIP, "resample": 2})
    resampled = image_encoder(f"onnx:{folder}").spec
    onnx_models.write(folder / "preprocessor_config.json", CLIP)
    onnx_models.vision_model(folder / "onnx" / "model.onnx", ("pooler_output", "image_embeds"), seed=9)
    retrained = image_encoder(f"onnx:{folder}")
    assert len({spec.fingerprint for spec in (before, resampled, retrained.spec)}) == 3
    assert isinstance(retrained, OnnxImageEncoder)
    assert retrained.files_digest == retrained.spec.weights


def test_what_is_no_model_of_images_says_so(tmp_path: Path) -> None:
    onnx_models.sentence_encoder(tmp_path)
    with pytest.raises(EncoderError, match=r"takes input_ids, .* and no images.*name it by text_encoder"):
        image_encoder(f"onnx:{tmp_path}")
    with pytest.raises(EncoderError, match=r"precision='float16' \(--precision\) is not to be had"):
        image_encoder(f"onnx:{tmp_path}", precision="float16")
    with pytest.raises(EncoderError, match="has weights of its own"):
        image_encoder(f"onnx:{tmp_path}", tmp_path / "w.h5")


def test_encoders_that_see_different_parts_of_an_image_are_not_joined(tmp_path: Path) -> None:
    whole = folder_of(tmp_path / "whole", {**CLIP, "size": {"height": SIDE, "width": SIDE}})
    middle = folder_of(tmp_path / "middle", CLIP)
    with pytest.raises(EncoderError, match=r"joined by \+ must see the same of an image.*make two stores"):
        image_encoder(f"onnx:{whole}+onnx:{middle}")
    two = image_encoder(f"onnx:{middle}+onnx:{middle}")
    one = encode(image_encoder(f"onnx:{middle}"), images())
    np.testing.assert_allclose(encode(two, images()), np.hstack([one, one]), atol=1e-6)
