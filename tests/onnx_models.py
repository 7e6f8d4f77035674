"""Small real models in the layouts that exported ones have on the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OPSET, IR = 17, 8
DIMENSION, SIDE = 8, 32
WORDS = 256
"""Of the tables of vectors; the vocabularies that are trained here have fewer."""

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")

CORPUS = (
    "a red fox runs over the snow",
    "the blue sea and a small boat",
    "linen shirt, white, with long sleeves",
    "canvas tote bag in green",
    "the quick brown fox jumps over the lazy dog",
    "query: passage: panda bear face animal flag of a country fruit apple",
)

CLIP = {
    "image_processor_type": "CLIPImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": SIDE},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_rescale": True,
    "rescale_factor": 0.00392156862745098,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "do_convert_rgb": True,
}


def random(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def value(name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def save(path: Path, nodes: Iterable[Any], inputs: Any, outputs: Any, weights: dict[str, NDArray[Any]]) -> Path:
    """Writes a graph, checked by the library of ONNX."""
    made = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(list(nodes), "g", inputs, outputs, made)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def kind_of(half: bool) -> tuple[int, type[np.floating[Any]]]:
    return (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)


def vision_nodes(outputs: Sequence[str]) -> list[Any]:
    """Patches of 8 x 8 pixels by a convolution; their mean, each of them, or the map of them."""
    nodes = [helper.make_node("Conv", ["pixel_values", "kernel"], ["map"], strides=[8, 8])]
    if "last_hidden_state" in outputs:
        nodes += [
            helper.make_node("Reshape", ["map", "flat"], ["rows"]),
            helper.make_node("Transpose", ["rows"], ["last_hidden_state"], perm=[0, 2, 1]),
        ]
    for name in outputs:
        if name != "last_hidden_state":
            nodes += [
                helper.make_node("GlobalAveragePool", ["map"], [f"pooled_{name}"]),
                helper.make_node("Flatten", [f"pooled_{name}"], [name]),
            ]
    return nodes


def vision_weights(half: bool = False, seed: int = 0) -> dict[str, NDArray[Any]]:
    kernel = random(seed, DIMENSION, 3, 8, 8) / 16
    return {"kernel": kernel.astype(kind_of(half)[1]), "flat": np.array([0, DIMENSION, -1], np.int64)}


def vision_model(
    path: Path,
    outputs: Sequence[str] = ("image_embeds",),
    shape: Sequence[int | str] = ("batch", 3, "height", "width"),
    half: bool = False,
    seed: int = 0,
    dimension: int | str = DIMENSION,
) -> Path:
    """A model of images; `outputs` of one vector an image, but for last_hidden_state."""
    kind = kind_of(half)[0]
    shapes = {"last_hidden_state": [shape[0], "patches", dimension]}
    found = [value(name, shapes.get(name, [shape[0], dimension]), kind) for name in outputs]
    weights = vision_weights(half, seed)
    if "last_hidden_state" not in outputs:
        weights.pop("flat")
    return save(path, vision_nodes(outputs), [value("pixel_values", shape, kind)], found, weights)


def text_nodes(outputs: Sequence[str], masked: bool = True) -> list[Any]:
    """A vector a token; their mean by the mask where there is one."""
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])]
    pooled = [name for name in outputs if name != "last_hidden_state"]
    if pooled and masked:
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["weights"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["weights", "last"], ["column"]),
            helper.make_node("Mul", ["last_hidden_state", "column"], ["weighted"]),
            helper.make_node("ReduceSum", ["weighted", "tokens"], ["sum"], keepdims=0),
            helper.make_node("ReduceSum", ["weights", "tokens"], ["count"], keepdims=1),
        ]
        nodes += [helper.make_node("Div", ["sum", "count"], [name]) for name in pooled]
    elif pooled:
        nodes += [helper.make_node("ReduceMean", ["last_hidden_state"], [n], axes=[1], keepdims=0) for n in pooled]
    return nodes


def text_model(
    path: Path,
    outputs: Sequence[str] = ("last_hidden_state",),
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    shape: Sequence[int | str] = ("batch", "tokens"),
    half: bool = False,
    seed: int = 1,
    kind: int = TensorProto.INT64,
    dimension: int = DIMENSION,
) -> Path:
    """A model of texts; `outputs` of one vector a text, but for last_hidden_state."""
    masked = "attention_mask" in inputs
    weights: dict[str, NDArray[Any]] = {"table": random(seed, WORDS, dimension).astype(kind_of(half)[1])}
    if masked and set(outputs) != {"last_hidden_state"}:
        weights |= {"last": np.array([2], np.int64), "tokens": np.array([1], np.int64)}
    shapes = {"last_hidden_state": [*shape, dimension]}
    found = [value(name, shapes.get(name, [shape[0], dimension]), kind_of(half)[0]) for name in outputs]
    return save(path, text_nodes(outputs, masked), [value(name, shape, kind) for name in inputs], found, weights)


def both_model(path: Path) -> Path:
    """A model of images and texts in one graph, as CLIP is exported by default."""
    nodes = [*vision_nodes(["image_embeds"]), *text_nodes(["text_embeds"])]
    nodes += [
        helper.make_node("Transpose", ["text_embeds"], ["across"], perm=[1, 0]),
        helper.make_node("MatMul", ["image_embeds", "across"], ["logits_per_image"]),
    ]
    inputs = [
        value("input_ids", ["texts", "tokens"], TensorProto.INT64),
        value("pixel_values", ["images", 3, "height", "width"]),
        value("attention_mask", ["texts", "tokens"], TensorProto.INT64),
    ]
    outputs = [
        value("logits_per_image", ["images", "texts"]),
        value("text_embeds", ["texts", DIMENSION]),
        value("image_embeds", ["images", DIMENSION]),
    ]
    weights = {"kernel": vision_weights()["kernel"], "table": random(1, WORDS, DIMENSION)}
    weights |= {"last": np.array([2], np.int64), "tokens": np.array([1], np.int64)}
    return save(path, nodes, inputs, outputs, weights)


def tokenizer(folder: Path, **settings: Any) -> Tokenizer:
    """A tokenizer of words and their pieces, trained here, with its settings beside it."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=list(SPECIAL)))
    ends = [(token, made.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    usual = {"model_max_length": 16, "pad_token": "[PAD]", "unk_token": "[UNK]"}
    write(folder / "tokenizer_config.json", usual | settings)
    return made


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def clip(folder: Path) -> Path:
    """A folder of the layout that CLIP has on the hub, halves of it in graphs of their own."""
    tokenizer(folder)
    vision_model(folder / "onnx" / "vision_model.onnx")
    text_model(folder / "onnx" / "text_model.onnx", ["text_embeds"])
    write(folder / "preprocessor_config.json", CLIP)
    return folder


def sentence_encoder(
    folder: Path, modules: Sequence[str] = ("Transformer", "Pooling", "Normalize"), **pooling: Any
) -> Path:
    """A folder of the layout of sentence-transformers, as MiniLM, bge and e5 have it."""
    tokenizer(folder)
    text_model(folder / "onnx" / "model.onnx", inputs=("input_ids", "attention_mask", "token_type_ids"))
    write(folder / "1_Pooling" / "config.json", pooling or {"pooling_mode_mean_tokens": True})
    kinds = [{"idx": i, "type": f"sentence_transformers.models.{kind}"} for i, kind in enumerate(modules)]
    write(folder / "modules.json", kinds)
    return folder
