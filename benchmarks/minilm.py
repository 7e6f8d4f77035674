"""A model in the shape of all-MiniLM-L6, with random weights: as fast, and without meaning."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.onnx_graph import Graph

WIDTH, HEADS, LAYERS, INNER, WORDS, LENGTH = 384, 12, 6, 1536, 30_522, 512
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
POOLING = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True}
MODULES = [
    {"idx": idx, "name": str(idx), "path": path, "type": f"sentence_transformers.models.{kind}"}
    for idx, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")])
]


def write_minilm(folder: Path, corpus: Sequence[str]) -> Path:
    """Writes a folder as sentence-transformers exports one; its word pieces are those of a corpus."""
    _write_graph(folder / "onnx" / "model.onnx")
    _write_tokenizer(folder / "tokenizer.json", corpus)
    for name, content in {"1_Pooling/config.json": POOLING, "modules.json": MODULES}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def _write_graph(out: Path) -> None:
    from onnx import TensorProto, helper

    graph = Graph(WIDTH, HEADS)
    places = graph.add("Slice", graph.weight(LENGTH, WIDTH), graph.numbers(0), _length(graph), graph.numbers(0))
    words = graph.add("Gather", graph.weight(WORDS, WIDTH), "input_ids")
    x = graph.norm(graph.add("Add", words, places))
    there = graph.add("Cast", graph.add("Unsqueeze", "attention_mask", graph.numbers(1, 2)), to=TensorProto.FLOAT)
    shift = graph.add("Mul", graph.add("Sub", there, graph.real(1)), graph.real(10_000))
    for _ in range(LAYERS):
        x = graph.norm(graph.add("Add", x, graph.attention(x, shift)))
        x = graph.norm(graph.add("Add", x, _feed_forward(graph, x)))
    graph.add("Identity", x, name="last_hidden_state")
    kinds = dict.fromkeys(("input_ids", "attention_mask"), TensorProto.INT64)
    inputs = [helper.make_tensor_value_info(name, kind, ["n", "t"]) for name, kind in kinds.items()]
    outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["n", "t", WIDTH])]
    graph.save(out, inputs, outputs)


def _length(graph: Graph) -> str:
    return graph.add("Slice", graph.add("Shape", "input_ids"), graph.numbers(1), graph.numbers(2))


def _feed_forward(graph: Graph, x: str) -> str:
    """By GELU, written out."""
    wide = graph.dense(x, WIDTH, INNER)
    erf = graph.add("Erf", graph.add("Mul", wide, graph.real(0.5**0.5)))
    half = graph.add("Mul", graph.add("Add", erf, graph.real(1)), graph.real(0.5))
    return graph.dense(graph.add("Mul", wide, half), INNER, WIDTH)


def _write_tokenizer(out: Path, corpus: Sequence[str]) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=WORDS, special_tokens=SPECIAL))
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    tokenizer.save(str(out))


def by_script(folder: Path, texts: Sequence[str], batch: int) -> Callable[[], NDArray[np.float32]]:
    """Tokens, ONNX Runtime and their mean, one batch behind the other, as a model's page has it."""
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    session = onnxruntime.InferenceSession(str(folder / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"])

    def encode(some: Sequence[str]) -> NDArray[np.float32]:
        found = tokenizer.encode_batch(list(some))
        ids, mask = (np.array([getattr(each, name) for each in found]) for name in ("ids", "attention_mask"))
        tokens = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        mean = (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), np.float32)

    return lambda: np.concatenate([encode(texts[at : at + batch]) for at in range(0, len(texts), batch)])
