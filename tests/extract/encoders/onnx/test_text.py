"""`onnx:` models of texts, compared with tokenizers and onnxruntime called directly, and with plain loops."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_models
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from onnxruntime.quantization import quantize_dynamic
from samples import cosines
from tokenizers import Tokenizer

from huse.extract.encoders import image_encoder, text_encoder
from huse.extract.encoders.onnx.files import MOST_BYTES
from huse.extract.encoders.onnx.text import TEXTS_A_BATCH, OnnxTextEncoder
from huse.extract.encoders.protocol import Batching, Closing, Explaining, OfFiles, TextEncoder, without_words
from huse.features.errors import EncoderError, ExtraError

TEXTS = ["a red fox", "the blue sea and a small boat over the snow", "Canvas TOTE bag", "apple"]


def directly(graph: Path, folder: Path, text: str, most: int = 16) -> tuple[NDArray[np.float32], list[int]]:
    """The first output for one text, with nothing around it, and its tokens."""
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens.no_padding()
    tokens.enable_truncation(most)
    ids = tokens.encode(text).ids
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    given = {"input_ids": [ids], "attention_mask": [[1] * len(ids)], "token_type_ids": [[0] * len(ids)]}
    feeds = {entry.name: np.array(given[entry.name], np.int64) for entry in session.get_inputs()}
    return session.run(None, feeds)[0][0], ids


def plainly(mode: str, vectors: Sequence[Sequence[float]]) -> list[float]:
    """Pooling in plain loops over the tokens of one text."""
    columns = list(zip(*vectors, strict=True))
    n = len(vectors)
    return {
        "cls": list(vectors[0]),
        "lasttoken": list(vectors[-1]),
        "max": [max(column) for column in columns],
        "mean": [sum(column) / n for column in columns],
        "mean_sqrt_len_tokens": [sum(column) / math.sqrt(n) for column in columns],
        "weightedmean": [sum(x * (i + 1) for i, x in enumerate(column)) / sum(range(1, n + 1)) for column in columns],
    }[mode]


def test_a_sentence_encoder_equals_its_parts_called_directly(tmp_path: Path) -> None:
    folder = onnx_models.sentence_encoder(tmp_path / "mini lm")
    encoder = text_encoder(f"onnx:{folder}")
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors, strict=True):
        hidden, _ = directly(folder / "onnx" / "model.onnx", folder, text)
        mean = np.array(plainly("mean", hidden.tolist()))
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)
    spec = encoder.spec
    assert (spec.name, spec.modality, spec.dimension) == ("onnx", "text", onnx_models.DIMENSION)
    assert spec.preprocessing.endswith("16 tokens at most; mean of last_hidden_state; unit length")
    assert spec.known_as == f"onnx:{folder}"
    for kind in (TextEncoder, OfFiles, Batching, Closing, Explaining):
        assert isinstance(encoder, kind)
    encoder.close()
    np.testing.assert_array_equal(encoder.encode(TEXTS), vectors)
    assert encoder.encode([]).shape == (0, onnx_models.DIMENSION)


KEYS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("mode", KEYS)
def test_pooling_equals_plain_loops(mode: str, left: bool, tmp_path: Path) -> None:
    settings: dict[str, Any] = {key: key == KEYS[mode] for key in KEYS.values()}
    folder = onnx_models.sentence_encoder(tmp_path / "m", modules=("Transformer", "Pooling"), **settings)
    if left:
        onnx_models.tokenizer(folder, padding_side="left")
    named = onnx_models.sentence_encoder(tmp_path / "n", modules=(), pooling_mode=mode)
    for where, argument in ((folder, ""), (named, ""), (folder, f"#last_hidden_state:{mode}")):
        vectors = text_encoder(f"onnx:{where}{argument}").encode(TEXTS)
        for text, vector in zip(TEXTS, vectors, strict=True):
            hidden, _ = directly(where / "onnx" / "model.onnx", where, text)
            np.testing.assert_allclose(vector, plainly(mode, hidden.tolist()), rtol=1e-5, atol=1e-6)


def test_several_poolings_stand_one_behind_the_other(tmp_path: Path) -> None:
    settings = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
    folder = onnx_models.sentence_encoder(tmp_path, ("Transformer", "Pooling"), **settings)
    encoder = text_encoder(f"onnx:{folder}")
    hidden, _ = directly(folder / "onnx" / "model.onnx", folder, TEXTS[1])
    expected = plainly("cls", hidden.tolist()) + plainly("mean", hidden.tolist())
    np.testing.assert_allclose(encoder.encode(TEXTS[1:2])[0], expected, rtol=1e-5, atol=1e-6)
    assert encoder.spec.dimension == len(expected)


@pytest.mark.parametrize(
    ("outputs", "pooled", "taken"),
    [
        (("sentence_embedding", "last_hidden_state"), True, "sentence_embedding"),
        (("pooler_output", "last_hidden_state"), True, "mean of last_hidden_state"),
        (("pooler_output", "last_hidden_state"), False, "pooler_output"),
        (("pooler_output", "text_embeds"), False, "text_embeds"),
        (("last_hidden_state",), False, "mean of last_hidden_state"),
        (("odd_name",), False, "odd_name"),
    ],
)
def test_the_output_is_chosen_by_known_names(
    outputs: tuple[str, ...], pooled: bool, taken: str, tmp_path: Path
) -> None:
    onnx_models.tokenizer(tmp_path)
    onnx_models.text_model(tmp_path / "model.onnx", outputs)
    if pooled:
        onnx_models.write(tmp_path / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
    assert text_encoder(f"onnx:{tmp_path}").spec.preprocessing.endswith(f"; {taken}")


def test_an_output_can_be_named(tmp_path: Path) -> None:
    onnx_models.tokenizer(tmp_path / "c#")
    onnx_models.text_model(tmp_path / "c#" / "model.onnx", ["first", "second"])
    with pytest.raises(EncoderError, match=r"has outputs of no known name, first, second; name one, onnx:.*#OUTPUT"):
        text_encoder(f"onnx:{tmp_path}/c#")
    encoder = text_encoder(f"onnx:{tmp_path}/c##second")
    assert encoder.spec.known_as == f"onnx:{tmp_path}/c##second"
    assert text_encoder(encoder.spec.known_as).spec == encoder.spec
    assert encoder.spec != text_encoder(f"onnx:{tmp_path}/c##first").spec
    with pytest.raises(EncoderError, match="has no output 'third', it has first, second"):
        text_encoder(f"onnx:{tmp_path}/c##third")
    with pytest.raises(EncoderError, match="no pooling 'mean' here; second has one vector an item"):
        text_encoder(f"onnx:{tmp_path}/c##second:mean")


def test_a_text_does_not_hang_on_its_neighbors(tmp_path: Path) -> None:
    folder = onnx_models.sentence_encoder(tmp_path)
    encoder = text_encoder(f"onnx:{folder}")
    many = [TEXTS[i % len(TEXTS)] for i in range(2 * TEXTS_A_BATCH + 3)]
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode(many), alone[[i % len(TEXTS) for i in range(len(many))]], atol=1e-6)


def test_int8_takes_one_text_at_a_time_as_its_scale_is_of_the_batch(tmp_path: Path) -> None:
    from onnx import helper

    folder = tmp_path / "m"
    onnx_models.tokenizer(folder)
    nodes = [
        *onnx_models.text_nodes(["mean"]),
        helper.make_node("MatMul", ["mean", "mix"], ["sentence_embedding"]),
    ]
    weights = {
        "table": onnx_models.random(1, onnx_models.WORDS, 8)
        * np.linspace(1, 50, onnx_models.WORDS, dtype=np.float32)[:, None]
    }
    weights |= {"mix": onnx_models.random(2, 8, 8), "last": np.array([2]), "tokens": np.array([1])}
    inputs = [onnx_models.value(n, ["n", "t"], TensorProto.INT64) for n in ("input_ids", "attention_mask")]
    outputs = [onnx_models.value("sentence_embedding", ["n", 8])]
    whole = onnx_models.save(folder / "onnx" / "model.onnx", nodes, inputs, outputs, weights)
    quantize_dynamic(str(whole), str(folder / "onnx" / "model_quantized.onnx"))
    encoder, exact = text_encoder(f"onnx:{folder}/onnx/model_quantized.onnx"), text_encoder(f"onnx:{folder}")
    assert isinstance(encoder, OnnxTextEncoder)
    together = encoder.encode(TEXTS)
    assert encoder.spec.dimension == 8
    np.testing.assert_array_equal(together, np.concatenate([encoder.encode([text]) for text in TEXTS]))
    for i, text in enumerate(TEXTS):
        given, _ = directly(folder / "onnx" / "model_quantized.onnx", folder, text)
        np.testing.assert_allclose(together[i], given, rtol=1e-5)
    assert cosines(together, exact.encode(TEXTS)).min() > 0.99
    assert encoder.spec != exact.spec


def test_float16_and_int32_are_cast(tmp_path: Path) -> None:
    folder = onnx_models.sentence_encoder(tmp_path / "m")
    whole = text_encoder(f"onnx:{folder}").encode(TEXTS)
    half = onnx_models.text_model(folder / "onnx" / "model_fp16.onnx", half=True, kind=TensorProto.INT32)
    encoder = text_encoder(f"onnx:{half}")
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, whole, atol=2e-3)
    assert encoder.spec.known_as == f"onnx:{half}"


def test_a_graph_of_one_length_or_batch_gets_it(tmp_path: Path) -> None:
    folder = onnx_models.sentence_encoder(tmp_path / "m")
    expected = text_encoder(f"onnx:{folder}").encode(TEXTS)
    onnx_models.text_model(folder / "onnx" / "model.onnx", shape=(3, 12))
    encoder = text_encoder(f"onnx:{folder}")
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-6)
    assert "12 tokens at most" in encoder.spec.preprocessing


def test_without_a_mask_every_text_is_padded_to_the_same_length(tmp_path: Path) -> None:
    """As SigLIP is trained, and CLIP does not mind."""
    onnx_models.tokenizer(tmp_path / "m")
    onnx_models.text_model(tmp_path / "m" / "onnx" / "text_model.onnx", ["text_embeds"], ["input_ids"])
    onnx_models.tokenizer(tmp_path / "s", model_input_names=["input_ids"])
    onnx_models.text_model(tmp_path / "s" / "onnx" / "text_model.onnx", ["text_embeds"])
    table = onnx_models.random(1, onnx_models.WORDS, onnx_models.DIMENSION)
    for name in ("m", "s"):
        folder = tmp_path / name
        vectors = text_encoder(f"onnx:{folder}").encode(TEXTS)
        for text, vector in zip(TEXTS, vectors, strict=True):
            _, ids = directly(folder / "onnx" / "text_model.onnx", folder, text)
            np.testing.assert_allclose(vector, table[ids + [0] * (16 - len(ids))].mean(0), rtol=1e-4, atol=1e-6)


ROBERTA = {"model_type": "xlm-roberta", "pad_token_id": 1}


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({}, 16),
        ({"sentence_bert_config.json": {"max_seq_length": 7}}, 7),
        ({"tokenizer_config.json": {"model_max_length": 10**30}, "config.json": {"max_position_embeddings": 9}}, 9),
        ({"tokenizer_config.json": {}, "config.json": {"text_config": {"max_position_embeddings": 8}}}, 8),
        ({"tokenizer_config.json": {}, "config.json": {**ROBERTA, "max_position_embeddings": 11}}, 9),
        ({"tokenizer_config.json": {}}, 512),
    ],
)
def test_long_texts_are_cut_off_where_the_settings_say(files: dict[str, Any], most: int, tmp_path: Path) -> None:
    folder = onnx_models.sentence_encoder(tmp_path)
    for name, told in files.items():
        onnx_models.write(folder / name, told)
    encoder = text_encoder(f"onnx:{folder}")
    assert f"; {most} tokens at most; " in encoder.spec.preprocessing
    long = " ".join(["fox sea"] * 600)
    hidden, ids = directly(folder / "onnx" / "model.onnx", folder, long, most)
    assert len(ids) == most
    mean = np.array(plainly("mean", hidden.tolist()))
    np.testing.assert_allclose(encoder.encode([long])[0], mean / np.linalg.norm(mean), atol=1e-5)


E5 = {"_name_or_path": "intfloat/multilingual-e5-small"}


@pytest.mark.parametrize(
    ("name", "files", "prompt"),
    [
        ("m", {}, ""),
        ("e5-small-v2", {}, "query: "),
        ("multilingual-e5-large-instruct", {}, ""),
        ("some5-model", {}, ""),
        ("m", {"config.json": E5}, "query: "),
        (
            "m",
            {"config_sentence_transformers.json": {"prompts": {"d": "passage: "}, "default_prompt_name": "d"}},
            "passage: ",
        ),
        ("m", {"config_sentence_transformers.json": {"prompts": {"d": "x"}, "default_prompt_name": None}}, ""),
        ("e5-small", {"config_sentence_transformers.json": {"prompts": {"n": ""}, "default_prompt_name": "n"}}, ""),
    ],
)
def test_prompts_stand_before_every_text(name: str, files: dict[str, Any], prompt: str, tmp_path: Path) -> None:
    folder = onnx_models.sentence_encoder(tmp_path / name)
    for file, told in files.items():
        onnx_models.write(folder / file, told)
    encoder = text_encoder(f"onnx:{folder}")
    assert (repr(prompt) in encoder.spec.preprocessing) == bool(prompt)
    hidden, _ = directly(folder / "onnx" / "model.onnx", folder, prompt + TEXTS[0])
    mean = np.array(plainly("mean", hidden.tolist()))
    np.testing.assert_allclose(encoder.encode(TEXTS[:1])[0], mean / np.linalg.norm(mean), atol=1e-6)


@pytest.mark.parametrize("name", ["m", "e5-small"])
def test_a_text_of_which_no_token_is_known_gets_zeros(name: str, tmp_path: Path) -> None:
    encoder = text_encoder(f"onnx:{onnx_models.sentence_encoder(tmp_path / name)}")
    vectors = encoder.encode(["\u718a\u732b", "fox \u718a", "\u718a"])
    assert vectors.any(axis=1).tolist() == [False, True, False]
    assert without_words(encoder).startswith("no known word: onnx:")


def test_both_modalities_in_one_graph_get_what_they_need(tmp_path: Path) -> None:
    onnx_models.tokenizer(tmp_path)
    onnx_models.both_model(tmp_path / "model.onnx")
    onnx_models.text_model(tmp_path / "alone" / "model.onnx", ["text_embeds"])
    onnx_models.write(tmp_path / "config.json", {"vision_config": {"image_size": onnx_models.SIDE}})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tmp_path / name, tmp_path / "alone" / name)
    both, alone = text_encoder(f"onnx:{tmp_path}"), text_encoder(f"onnx:{tmp_path}/alone")
    np.testing.assert_allclose(both.encode(TEXTS), alone.encode(TEXTS), atol=1e-6)


def test_the_fingerprint_changes_with_every_file(tmp_path: Path) -> None:
    folder = onnx_models.sentence_encoder(tmp_path / "m")
    for name, told in {
        "special_tokens_map.json": {"pad_token": "[PAD]"},
        "sentence_bert_config.json": {"max_seq_length": 9},
        "config_sentence_transformers.json": {"prompts": {}},
        "config.json": {"model_type": "bert"},
    }.items():
        onnx_models.write(folder / name, told)
    before = text_encoder(f"onnx:{folder}")
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert text_encoder(f"onnx:{tmp_path}/elsewhere").spec == before.spec
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 9
    for path in files:
        kept = path.read_bytes()
        if path.suffix == ".json":
            path.write_bytes(kept + b"\n")
        else:
            onnx_models.text_model(path, inputs=("input_ids", "attention_mask", "token_type_ids"), seed=5)
        other = text_encoder(f"onnx:{folder}")
        assert isinstance(other, OnnxTextEncoder)
        assert other.spec.fingerprint != before.spec.fingerprint, path
        assert other.files_digest == other.spec.weights
        path.write_bytes(kept)
    assert text_encoder(f"onnx:{folder}").spec == before.spec


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_settings_that_are_far_too_large_are_not_read(name: str, tmp_path: Path) -> None:
    folder = onnx_models.sentence_encoder(tmp_path)
    os.truncate(folder / name, MOST_BYTES + 1)
    with pytest.raises(EncoderError, match=rf"{name}: too large for settings"):
        text_encoder(f"onnx:{folder}")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tokenizer.json", None, r"has no tokenizer\.json; save it there by .*save_pretrained"),
        ("tokenizer.json", "{}", "not a tokenizer"),
        ("tokenizer_config.json", "[1]", "not a JSON object"),
        ("tokenizer_config.json", "{", "not JSON"),
        ("1_Pooling/config.json", '{"pooling_mode_mean_tokens": false}', "names no pooling of cls, max, mean"),
        ("1_Pooling/config.json", '{"pooling_mode": "attention"}', "names no pooling of cls, max, mean"),
        (
            "config_sentence_transformers.json",
            '{"default_prompt_name": "q"}',
            "default_prompt_name is 'q', and prompts",
        ),
        (
            "modules.json",
            '[{"type": "a.Transformer"}, {"type": "a.Dense"}]',
            "Dense of modules.json is not in the graph",
        ),
        ("modules.json", "7", "not a list of modules"),
        ("onnx/model.onnx", None, r"has no onnx/text_model.onnx or .*model.onnx; name a \.onnx file itself"),
        ("onnx/model.onnx", "", "not an ONNX model"),
        ("onnx/model.onnx", "rubbish", "not an ONNX model, or damaged"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(file: str, content: str | None, message: str, tmp_path: Path) -> None:
    folder = onnx_models.sentence_encoder(tmp_path)
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content, encoding="utf-8")
    with pytest.raises(EncoderError, match=message) as caught:
        text_encoder(f"onnx:{folder}")
    assert "\n" not in str(caught.value)


def test_a_model_that_is_none_of_texts_says_so(tmp_path: Path) -> None:
    onnx_models.vision_model(tmp_path / "dino" / "onnx" / "vision_model.onnx")
    with pytest.raises(EncoderError, match=r"is a model of images alone, not of texts; name it by image_encoder"):
        text_encoder(f"onnx:{tmp_path}/dino")
    onnx_models.vision_model(tmp_path / "model.onnx")
    with pytest.raises(EncoderError, match=r"takes pixel_values and no input_ids.*name it by image_encoder"):
        text_encoder(f"onnx:{tmp_path}")
    onnx_models.tokenizer(tmp_path)
    onnx_models.text_model(tmp_path / "model.onnx", inputs=("input_ids", "attention_mask", "past_key_values.0.key"))
    with pytest.raises(EncoderError, match=r"takes past_key_values\.0\.key, which nothing gives it"):
        text_encoder(f"onnx:{tmp_path}")


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers", "huggingface_hub"])
def test_a_missing_package_names_the_extra(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = onnx_models.clip(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    place = "hf://org/name" if package == "huggingface_hub" else folder
    with pytest.raises(ExtraError, match=rf"onnx:.* needs {package}: pip install 'huse\[onnx\]'"):
        text_encoder(f"onnx:{place}")
    if package == "onnxruntime":
        with pytest.raises(ExtraError, match=r"pip install 'huse\[onnx\]'"):
            image_encoder(f"onnx:{place}")


def test_the_settings_are_found_beside_a_graph_that_is_named_itself(tmp_path: Path) -> None:
    folder = onnx_models.sentence_encoder(tmp_path / "m")
    nested = text_encoder(f"onnx:{folder}/onnx/model.onnx")
    assert nested.spec.fingerprint == text_encoder(f"onnx:{folder}").spec.fingerprint
    shutil.move(folder / "onnx" / "model.onnx", folder / "odd name.onnx")
    assert text_encoder(f"onnx:{folder}/odd name.onnx").spec.fingerprint == nested.spec.fingerprint
    assert json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"] == 16
