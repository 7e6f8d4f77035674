"""`hub:` and `bert:` on SavedModels made here, with the signatures that published ones have."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from huse.extract.encoders import image_encoder, text_encoder
from huse.features.errors import EncoderError

STRING = tf.TensorSpec((None,), tf.string)
HIDDEN, TOKENS = 3, 4


def save(folder: Path, function: Callable[..., Any], *inputs: Any, signature: bool = True) -> Path:
    module = tf.Module()
    module.__call__ = tf.function(function, input_signature=inputs)
    signatures = module.__call__.get_concrete_function() if signature else None
    if signatures is not None and not isinstance(signatures.structured_outputs, dict):
        module.served = tf.function(lambda x: {"outputs": function(x)}, input_signature=inputs)
        signatures = module.served.get_concrete_function()
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


def lengths(texts: tf.Tensor) -> tf.Tensor:
    length = tf.cast(tf.strings.length(texts, unit="UTF8_CHAR"), tf.float32)
    return tf.stack([length, length * 2], axis=1)


def means(pixels: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(pixels, axis=(1, 2))


def preprocess(texts: tf.Tensor) -> dict[str, tf.Tensor]:
    count = tf.minimum(tf.strings.length(texts), TOKENS)
    places = tf.range(TOKENS)[None, :]
    mask = tf.cast(places < count[:, None], tf.int32)
    ids = (places + 1) * tf.ones_like(count)[:, None]
    return {"input_word_ids": ids, "input_mask": mask, "input_type_ids": tf.zeros_like(mask)}


def bert(inputs: dict[str, tf.Tensor]) -> dict[str, Any]:
    ids = tf.cast(inputs["input_word_ids"], tf.float32)[..., None] * tf.ones(HIDDEN)
    layers = [ids * (10.0**layer) for layer in range(6)]
    return {"encoder_outputs": layers, "pooled_output": ids[:, 0]}


def test_texts_of_any_model_of_strings(tmp_path: Path) -> None:
    encoder = text_encoder(f"hub:{save(tmp_path / 'm', lengths, STRING)}")
    assert (encoder.spec.name, encoder.spec.dimension, encoder.spec.modality) == ("hub", 2, "text")
    texts = ["é" * (1 + i % 7) for i in range(600)]
    np.testing.assert_array_equal(encoder.encode(texts)[:, 0], [len(text) for text in texts])


def test_a_model_with_nothing_but_a_signature(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", lengths, STRING)
    module = tf.saved_model.load(str(folder))
    bare = tf.Module()
    tf.saved_model.save(bare, str(tmp_path / "bare"), signatures=module.signatures["serving_default"])
    assert text_encoder(f"hub:{tmp_path / 'bare'}").encode(["abc"]).tolist() == [[3, 6]]


def test_the_fingerprint_is_that_of_the_model_not_of_its_place(tmp_path: Path) -> None:
    first = save(tmp_path / "first", lengths, STRING)
    second = shutil.copytree(first, tmp_path / "elsewhere")
    other = save(tmp_path / "other", lambda texts: lengths(texts) * 3.0, STRING)
    specs = [text_encoder(f"hub:{folder}").spec for folder in (first, second, other)]
    assert specs[0] == specs[1]
    assert specs[0].fingerprint == specs[1].fingerprint != specs[2].fingerprint
    assert specs[1].known_as == f"hub:{second}"


@pytest.mark.parametrize(("dtype", "size", "expected"), [(tf.float32, None, 1.0), (tf.uint8, 48, 255.0)])
def test_images_in_the_range_and_size_of_the_signature(
    tmp_path: Path, dtype: tf.DType, size: int | None, expected: float
) -> None:
    function = (lambda x: means(tf.cast(x, tf.float32))) if dtype == tf.uint8 else means
    folder = save(tmp_path / "m", function, tf.TensorSpec((None, size, size, 3), dtype))
    encoder = image_encoder(f"hub:{folder}")
    assert encoder.input_size == ((48, 48) if size else (224, 224))
    pixels = np.zeros((2, *encoder.input_size, 3), np.uint8)
    pixels[1, ..., 2] = 255
    np.testing.assert_allclose(encoder.encode(pixels), [[0, 0, 0], [0, 0, expected]])
    with pytest.raises(EncoderError, match="precision='bfloat16'"):
        image_encoder(f"hub:{folder}", precision="bfloat16")
    if size:
        with pytest.raises(EncoderError, match=r"takes images of 48 x 48; write hub:"):
            image_encoder(f"hub@64:{folder}")
    else:
        small = image_encoder(f"hub@64:{folder}")
        assert (small.input_size, small.spec.source) == ((64, 64), f"hub@64:{folder}")
        assert small.spec.fingerprint != encoder.spec.fingerprint


def test_bert_takes_the_mean_of_the_last_four_layers_over_the_mask(tmp_path: Path) -> None:
    pre = save(tmp_path / "pre", preprocess, STRING)
    shape = {
        name: tf.TensorSpec((None, TOKENS), tf.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")
    }
    net = save(tmp_path / "bert", bert, shape, signature=False)
    encoder = text_encoder(f"bert:{pre},{net}")
    assert encoder.spec.dimension == 4 * HIDDEN
    got = encoder.encode(["ab", "abcdefgh"])
    for row, tokens in zip(got, (2, 4), strict=True):
        mean = sum(range(1, tokens + 1)) / tokens
        np.testing.assert_allclose(row, np.repeat([mean * 10.0**layer for layer in range(2, 6)], HIDDEN), rtol=1e-5)
    many = encoder.encode(["ab"] * 70)
    np.testing.assert_allclose(many, np.tile(got[0], (70, 1)), rtol=1e-6)
    with pytest.raises(EncoderError, match="write bert:PREPROCESSOR,ENCODER"):
        text_encoder(f"bert:{pre}")


def test_models_of_the_other_kind_are_one_line(tmp_path: Path) -> None:
    of_texts = save(tmp_path / "texts", lengths, STRING)
    of_images = save(tmp_path / "images", means, tf.TensorSpec((None, 8, 8, 3), tf.float32))
    for use in (
        lambda: text_encoder(f"hub:{of_images}").encode(["a"]),
        lambda: image_encoder(f"hub:{of_texts}").encode(np.zeros((1, 224, 224, 3), np.uint8)),
    ):
        with pytest.raises(EncoderError, match="TensorFlow cannot run it") as caught:
            use()
        assert "\n" not in str(caught.value)


def test_folders_whose_names_hold_plus_signs_and_commas(tmp_path: Path) -> None:
    folder = save(tmp_path / "c++" / "a+use", lengths, STRING)
    encoder = text_encoder(f"hub:{folder}/")
    assert encoder.encode(["abc"]).shape == (1, 2)
    assert encoder.encode([]).shape == (0, 2)
    assert text_encoder(encoder.spec.known_as).spec == encoder.spec
    both = text_encoder(f"use+hub:{folder}/+use")
    assert both.spec.name == "use+hub+use"
    assert text_encoder(both.spec.known_as).spec == both.spec
    with pytest.raises(EncoderError, match="two SavedModels are needed"):
        text_encoder(f"bert:{tmp_path / 'a,b'},{tmp_path / 'c'}")


def test_what_is_no_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"no saved_model\.pb there"):
        text_encoder(f"hub:{tmp_path}")
    (tmp_path / "saved_model.pb").write_bytes(b"rubbish")
    with pytest.raises(EncoderError, match="not a SavedModel that can be loaded"):
        text_encoder(f"hub:{tmp_path}").encode(["a"])
    three = save(tmp_path / "three", lambda x: tf.zeros((tf.shape(x)[0], 2, 2)), STRING)
    with pytest.raises(EncoderError, match="one vector an item"):
        text_encoder(f"hub:{three}").encode(["a"])


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_a_url_goes_through_tensorflow_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow_hub

    folder = save(tmp_path / "m", lengths, STRING)
    asked: list[str] = []
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    monkeypatch.setattr(tensorflow_hub, "resolve", lambda handle: asked.append(handle) or str(folder))
    encoder = text_encoder("hub:https://example.com/model/1")
    assert encoder.spec.known_as == "hub:https://example.com/model/1"
    assert encoder.spec == text_encoder(f"hub:{folder}").spec
    assert asked == ["https://example.com/model/1"]

    def unreachable(handle: str) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(tensorflow_hub, "resolve", unreachable)
    with pytest.raises(EncoderError, match=r"cannot be downloaded.*no route to host.*hub:FOLDER"):
        text_encoder("hub:https://example.com/model/1")
