"""Names and what they make: parts joined, salient tokens, fitted vocabularies, encoders of other packages."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from package import install, install_encoder

from huse.extract.encoders import image_encoder, registry, text_encoder
from huse.extract.encoders.applications import APPLICATIONS
from huse.extract.encoders.protocol import FittedEncoder, without_words
from huse.extract.encoders.registry import FAMILIES, is_outside, names_in, whole_name, with_salient_tokens
from huse.extract.texts import salient_text
from huse.features.errors import EncoderError

TEXTS = ["a red fox", "a red car", "the blue sea", "Über the sea"]


def fitted(name: str) -> FittedEncoder:
    encoder = text_encoder(name)
    assert isinstance(encoder, FittedEncoder)
    encoder.fit(TEXTS)
    return encoder


def test_tfidf_equals_the_formula() -> None:
    encoder = fitted("tfidf:50")
    state = encoder.state()
    assert state["words"] == ["blue", "car", "fox", "red", "sea", "the", "uber"]
    idf = dict(zip(state["words"], state["idf"], strict=True))
    assert idf["red"] == pytest.approx(np.log(5 / 3) + 1)
    vector = encoder.encode(["RED red fox unknown"])[0]
    expected = {"red": (1 + np.log(2)) * idf["red"], "fox": idf["fox"]}
    norm = np.hypot(*expected.values())
    for word, at in zip(state["words"], range(50), strict=False):
        assert vector[at] == pytest.approx(expected.get(word, 0) / norm)
    assert vector.shape == (50,)
    assert not encoder.encode(["zebra"]).any()


def test_tfidf_is_made_again_from_its_state() -> None:
    encoder = fitted("tfidf:4")
    again = text_encoder("tfidf:4", json.loads(json.dumps(encoder.state())))
    np.testing.assert_array_equal(again.encode(TEXTS), encoder.encode(TEXTS))
    assert again.spec == encoder.spec
    other = text_encoder("tfidf:4")
    other.fit(TEXTS[:2])
    assert other.spec != encoder.spec


def test_tfidf_without_words_says_so() -> None:
    with pytest.raises(EncoderError, match="no words to learn in the texts of split train or none"):
        text_encoder("tfidf:5").fit(["!", "?"])
    with pytest.raises(EncoderError, match="learns its words from texts"):
        _ = text_encoder("tfidf:5").spec
    with pytest.raises(EncoderError, match="not a number of words"):
        text_encoder("tfidf:many")


CHINESE = ["\u7ea2\u8272\u7684\u72d0\u72f8", "\u7ea2\u8272\u7684\u6c7d\u8f66", "\u84dd\u8272\u7684\u5927\u6d77"]


def test_runs_of_characters_know_languages_without_spaces() -> None:
    words, runs = text_encoder("tfidf:50"), text_encoder("tfidf:50:char")
    for encoder in (words, runs):
        assert isinstance(encoder, FittedEncoder)
        encoder.fit(CHINESE)
    new = ["\u7ea2\u8272\u7684\u9e1f"]
    assert not words.encode(new).any()
    assert "tfidf:50:char" in without_words(words)
    vectors = np.concatenate([runs.encode(new), runs.encode(CHINESE)])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[3] > 0
    assert runs.spec.name == "tfidf:50:char"
    assert text_encoder("tfidf:50:char", json.loads(json.dumps(runs.state()))).spec == runs.spec
    assert not runs.encode(["\u03b1\u03b2 \u03b3"]).any()  # the space between them is no known run
    both = fitted("tfidf:9+tfidf:9:char")
    assert without_words(both).startswith("no known word: tfidf:9 knows")
    assert without_words(text_encoder("use")).startswith("no known word: use knows")


WRONG_STATES = [
    {},
    [],
    "words",
    {"words": ["a"], "idf": []},
    {"words": ["a", "a"], "idf": [1.0, 1.0]},
    {"words": [1], "idf": [1.0]},
    {"words": ["a"], "idf": [float("nan")]},
    {"words": ["a"], "idf": ["1"]},
    {"words": list("abcdef"), "idf": [1.0] * 6},
    [{"words": ["a"], "idf": [1.0]}],
]


@pytest.mark.parametrize("state", WRONG_STATES, ids=str)
def test_what_another_encoder_learned_is_refused(state: object) -> None:
    with pytest.raises(EncoderError, match="tfidf:5: what was learned is not of this encoder, or damaged"):
        text_encoder("tfidf:5", state)


@pytest.mark.parametrize("state", [[None], [None] * 3, {"words": ["a"], "idf": [1.0]}, "ab", 3], ids=str)
def test_states_of_another_number_of_encoders_are_refused(state: object) -> None:
    with pytest.raises(EncoderError, match="not of these 2 encoders"):
        text_encoder("use+tfidf:5", state)


def test_folders_of_a_whole_name_start_at_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = tmp_path.resolve()
    for folder in ("p", "a,b", "c+use"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "saved_model.pb").touch()
    (tmp_path / "p" / "m.onnx").symlink_to(tmp_path / "p" / "saved_model.pb")
    for name, whole in {
        "vgg16:fc2": "vgg16:fc2",
        "hub:../x": f"hub:{here.parent}/x",
        "hub@64:p+vgg16@64": f"hub@64:{here}/p+vgg16@64",
        "hub:https://tfhub.dev/m/1": "hub:https://tfhub.dev/m/1",
        "bert:p,a,b": f"bert:{here}/p,{here}/a,b",
        "bert:https://tfhub.dev/p/1,e": f"bert:https://tfhub.dev/p/1,{here}/e",
        "salient:5:hub:c+use/+tfidf:9": f"salient:5:hub:{here}/c+use/+tfidf:9",
        "use+hub:p": f"use+hub:{here}/p",
        "onnx:c+use/#out:mean+use": f"onnx:{here}/c+use/#out:mean+use",
        "onnx:p/m.onnx": f"onnx:{here}/p/m.onnx",
        "onnx:hf://org/name@v1#out": "onnx:hf://org/name@v1#out",
    }.items():
        assert whole_name(name) == whole
        assert whole_name(whole) == whole
        assert len(names_in(whole)) == len(names_in(name))


def test_a_plus_sign_joins_names_and_not_paths() -> None:
    for name, parts in {
        "use": ["use"],
        "use+tfidf:5": ["use", "tfidf:5"],
        "hub:/data/c++/m": ["hub:/data/c++/m"],
        "hub:/data/c++/m+use": ["hub:/data/c++/m", "use"],
        "use+hub:/data/c++": ["use", "hub:/data/c++"],
        "hub:C:\\models\\c++\\m+tfidf:5:char": ["hub:C:\\models\\c++\\m", "tfidf:5:char"],
        "hub:https://example.com/a+b/1?x=1+2": ["hub:https://example.com/a+b/1?x=1+2"],
        "bert:/a+b,/c++/d+use": ["bert:/a+b,/c++/d", "use"],
        "salient:3:hub:/a+b+use": ["salient:3:hub:/a+b", "use"],
        "hub:/data/a+use/": ["hub:/data/a+use/"],
        "use+bow": ["use", "bow"],
        "vgg16+resnet50": ["vgg16", "resnet50"],
        "vgg16@64:flatten+resnet50@64": ["vgg16@64:flatten", "resnet50@64"],
        "hub@64:/c++/m+vgg16@64": ["hub@64:/c++/m", "vgg16@64"],
        "hub:/m++use": ["hub:/m+", "use"],
        "onnx:/data/c++/m#out:mean+use": ["onnx:/data/c++/m#out:mean", "use"],
        "onnx:hf://org/name@v1+tfidf:5": ["onnx:hf://org/name@v1", "tfidf:5"],
    }.items():
        assert names_in(name) == parts
        assert is_outside(name) == any(word in name for word in ("hub", "bert", "onnx"))
    assert with_salient_tokens("hub:/c++/m+use", 3) == "salient:3:hub:/c++/m+salient:3:use"
    for name in ("+use", "use+", "use++tfidf:5", "+"):
        with pytest.raises(EncoderError, match="missing beside a plus sign"):
            names_in(name)


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (text_encoder, "", "no text encoder is named"),
        (text_encoder, "tfidf", "tfidf:: not a number of words.*write tfidf:1000"),
        (text_encoder, "tfidf:", "not a number of words"),
        (text_encoder, "tfidf:abc", "not a number of words"),
        (text_encoder, "tfidf:0", "not a number of words"),
        (text_encoder, "tfidf:-5", "not a number of words"),
        (text_encoder, "tfidf:1.5", "not a number of words"),
        (text_encoder, "tfidf:" + 5000 * "9", "not a number of words"),
        (text_encoder, "tfidf:5:words", "write tfidf:5 or tfidf:5:char"),
        (text_encoder, "tfidf:5:", "is no unit"),
        (text_encoder, "tfdif:5", r"did you mean tfidf:5\?"),
        (text_encoder, "TFIDF:5", r"did you mean tfidf:5\?"),
        (text_encoder, "ues", r"did you mean use\?"),
        (text_encoder, "use:foo", "use takes no 'foo'; write use"),
        (text_encoder, "use:", "nothing stands behind the colon"),
        (text_encoder, "vgg16", "vgg16 is an encoder of images, not of texts; name it by image_encoder"),
        (text_encoder, "salient:3:", "names no encoder; write salient:512:NAME"),
        (text_encoder, "salient", "names no encoder"),
        (text_encoder, "salient:x:use", "not a number of tokens"),
        (text_encoder, "salient::use", "not a number of tokens"),
        (text_encoder, "salient:" + 5000 * "9" + ":use", "not a number of tokens"),
        (text_encoder, "salient:3:tfdif:5", "did you mean tfidf:5"),
        (text_encoder, "hub:", "no saved_model.pb there"),
        (text_encoder, "hub", "no saved_model.pb there"),
        (text_encoder, "onnx:", "no such folder; name one with model.onnx, the file itself, or hf://ORG/NAME"),
        (text_encoder, "onnx", "no such folder"),
        (image_encoder, "onnx:/no/such#out", "onnx:/no/such: no such folder"),
        (image_encoder, "onnx:https://example.com/m.onnx", "write hf://ORG/NAME for a model of the Hugging Face hub"),
        (text_encoder, "bert:a", "write bert:PREPROCESSOR,ENCODER"),
        (text_encoder, "bert:a,b,c", "write bert:PREPROCESSOR,ENCODER"),
        (text_encoder, "bert:,b", "write bert:PREPROCESSOR,ENCODER"),
        (text_encoder, "tokenizer", "tokenizer:: not a number of words.*write tokenizer:1000"),
        (text_encoder, "tokenizer:x", "not a number of words"),
        (text_encoder, "tokenizer:0", "not a number of words"),
        (text_encoder, "use@64", "no text encoder 'use@64'"),
        (image_encoder, "vgg16@", "'' is no side of images; write vgg16@64"),
        (image_encoder, "vgg16@x:flatten", "'x' is no side of images; write vgg16@64"),
        (image_encoder, "vgg16@0", "'0' is no side"),
        (image_encoder, "vgg16@-64", "'-64' is no side"),
        (image_encoder, "vgg16@" + 5000 * "9", "is no side"),
        (image_encoder, "onnx@64:m", "preprocessor_config.json has the size of images; write onnx:m"),
        (image_encoder, "vgg16@31", "leave nothing of 31 pixels; write vgg16@32"),
        (image_encoder, "vgg16@64:", "nothing stands behind the colon"),
        (image_encoder, "vgg16@64:fc1", "layer fc1 of vgg16 takes images of one size; write vgg16:fc1"),
        (image_encoder, "vgg16:fc3", "no layer 'fc3' of vgg16; it has fc1, fc2; huse encoders lists all names"),
        (image_encoder, "vgg16:", "nothing stands behind the colon"),
        (image_encoder, "resnet50:", "nothing stands behind the colon"),
        (image_encoder, "resnet5", r"did you mean resnet50\?"),
        (image_encoder, "VGG16", r"did you mean vgg16\?"),
        (image_encoder, "use", "use is an encoder of texts"),
        (image_encoder, "vgg16+", "missing beside a plus sign"),
        (image_encoder, "zzz", "no image encoder 'zzz'; huse encoders lists them"),
    ],
)
def test_every_wrong_name_is_one_line_that_says_what_to_write(
    make: Callable[[str], object], name: str, message: str
) -> None:
    with pytest.raises(EncoderError, match=message) as caught:
        make(name)
    assert "\n" not in str(caught.value)


def test_parts_stand_one_behind_the_other() -> None:
    both = fitted("use+tfidf:6")
    use, tfidf = text_encoder("use"), fitted("tfidf:6")
    np.testing.assert_allclose(both.encode(TEXTS), np.hstack([use.encode(TEXTS), tfidf.encode(TEXTS)]), atol=1e-6)
    assert (both.spec.name, both.spec.dimension) == ("use+tfidf:6", 518)
    again = text_encoder("use+tfidf:6", json.loads(json.dumps(both.state())))
    assert again.spec == both.spec
    with pytest.raises(EncoderError, match="no text encoder 'bow'"):
        text_encoder("use+bow")


def test_salient_tokens() -> None:
    text = "The cat sat. The cat ran. The dog, a dalmatian, slept."
    # with 3 sentences: the 3 x (log(4/4) + 1) = 3, cat 2 x (log(4/3) + 1) = 2.58, all others log(4/2) + 1 = 1.69
    assert salient_text(text, 5) == "The cat The cat The"
    assert salient_text(text, 6) == "The cat sat. The cat The"
    assert salient_text(text, 11) == text
    assert with_salient_tokens("use+tfidf:5", 3) == "salient:3:use+salient:3:tfidf:5"
    assert with_salient_tokens("use", 0) == "use"


def test_salient_encoders_see_less_and_say_so() -> None:
    short = fitted("salient:2:tfidf:9")
    plain = fitted("tfidf:9")
    expected = text_encoder("tfidf:9", short.state()).encode(["red fox"])
    np.testing.assert_array_equal(short.encode(["red fox sea"]), expected)
    assert short.spec.name == "salient:2:tfidf:9"
    assert short.spec.fingerprint != plain.spec.fingerprint
    for wrong in ("salient:x:use", "salient:0:use"):
        with pytest.raises(EncoderError, match="not a number of tokens"):
            text_encoder(wrong)


def test_a_package_brings_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_encoder(tmp_path, monkeypatch)
    encoder = image_encoder("mean-color")
    assert encoder.encode(np.full((2, 8, 8, 3), 7, np.uint8)).tolist() == [[7, 7, 7]] * 2
    with pytest.raises(EncoderError, match="is for image, not text"):
        text_encoder("mean-color")


@pytest.mark.parametrize(
    "code", ["raise OSError('no\\nweights')", "class Odd:\n    def __init__(self, argument): pass"]
)
def test_an_encoder_of_a_package_that_fails_is_one_line(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "odd", "odd_encoders:Odd", code, monkeypatch)
    with pytest.raises(EncoderError, match=r"encoder 'odd:x': odd_encoders:Odd failed") as caught:
        image_encoder("odd:x")
    assert "\n" not in str(caught.value)


def test_images_of_two_sizes_are_not_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_encoder(tmp_path, monkeypatch)
    two = image_encoder("mean-color+mean-color")
    assert two.encode(np.full((1, 8, 8, 3), 7, np.uint8)).shape == (1, 6)
    with pytest.raises(EncoderError, match="vgg16 224 x 224, mean-color 8 x 8; make two stores"):
        image_encoder("vgg16+mean-color")


def test_what_an_encoder_needs_beyond_huse_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_encoder(tmp_path, monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    source = {row["usage"]: row["source"] for row in registry.listed()}
    assert source["bert:PREPROCESSOR,ENCODER"].endswith("extra [bert], not installed: pip install 'huse[bert]'")
    assert source["mean-color"] == "entry point my_encoders:MeanColor"
    monkeypatch.delitem(sys.modules, "tensorflow_text")
    (tmp_path / "tensorflow_text.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert {row["usage"]: row["source"] for row in registry.listed()}["bert:PREPROCESSOR,ENCODER"].endswith("[bert]")


def test_every_application_is_listed_once() -> None:
    import keras

    names = [family.usage for family in FAMILIES]
    known = {name.lower() for name in vars(keras.applications) if name[0].isupper()}
    assert known == set(APPLICATIONS)
    assert known <= set(names)
    assert all(hasattr(getattr(keras.applications, a.module), "preprocess_input") for a in APPLICATIONS.values())


@pytest.mark.parametrize(("name", "layer"), [("mobilenetv2", ""), ("mobilenetv3small", "")])
def test_an_application_equals_keras_itself(name: str, layer: str, tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    entry = APPLICATIONS[name]
    make = getattr(keras.applications, entry.function)
    network = make(include_top=False, weights=None, pooling="avg", input_shape=(224, 224, 3))
    network.save_weights(tmp_path / "w.weights.h5")
    encoder = image_encoder(name, tmp_path / "w.weights.h5", "float32")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)
    prepared = getattr(keras.applications, entry.module).preprocess_input(pixels.astype(np.float32))
    np.testing.assert_allclose(encoder.encode(pixels), network.predict(prepared, verbose=0), rtol=1e-3, atol=1e-4)
    assert encoder.spec.dimension == entry.dimension == network.output_shape[1]
    with pytest.raises(EncoderError, match="no layer 'fc9'"):
        image_encoder(f"{name}:fc9", tmp_path / "w.weights.h5")


def test_weights_that_are_not_to_be_had_name_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"resnet50: .*absent.* cannot be used .*--image-weights"):
        _ = image_encoder("resnet50", tmp_path / "absent.weights.h5").spec


@pytest.mark.slow
def test_fc2_is_the_second_to_last_layer_of_vgg16(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    network = keras.applications.VGG16(weights=None)
    network.save_weights(tmp_path / "w.weights.h5")
    encoder = image_encoder("vgg16:fc2", tmp_path / "w.weights.h5", "float32")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    cut = keras.Model(network.input, network.layers[-2].output)
    expected = cut.predict(keras.applications.vgg16.preprocess_input(pixels.astype(np.float32)), verbose=0)
    np.testing.assert_allclose(encoder.encode(pixels), expected, rtol=1e-3, atol=1e-5)
    assert encoder.spec.dimension == 4096
