"""A vision transformer as an ONNX model with random weights, as heavy as CLIP's ViT-B/32 or another of its kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE, WIDTH, HEADS, LAYERS, OUT = 224, 768, 12, 12, 512
OPSET, IR = 17, 8

CLIP = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": SIDE},
    "crop_size": {"height": SIDE, "width": SIDE},
}


@dataclass
class _Graph:
    """Nodes in order, and weights by name."""

    nodes: list[Any] = field(default_factory=list)
    weights: dict[str, NDArray[Any]] = field(default_factory=dict)
    dice: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operation}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    def weight(self, *shape: int) -> str:
        return self.constant((self.dice.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32))

    def constant(self, value: NDArray[Any]) -> str:
        name = f"w{len(self.weights)}"
        self.weights[name] = value
        return name

    def numbers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def dense(self, x: str, width: int, out: int) -> str:
        return self.add("Add", self.add("MatMul", x, self.weight(width, out)), self.weight(out))

    def norm(self, x: str) -> str:
        ones, zeros = self.constant(np.ones(WIDTH, np.float32)), self.constant(np.zeros(WIDTH, np.float32))
        return self.add("LayerNormalization", x, ones, zeros, axis=-1)


def write_vit(folder: Path, patch: int = 32) -> Path:
    """Writes a folder with `model.onnx` and its settings; patches of 32 x 32 pixels, or of 16 x 16."""
    graph = _Graph()
    x = _patches(graph, patch)
    for _ in range(LAYERS):
        x = graph.add("Add", x, _attention(graph, graph.norm(x)))
        x = graph.add("Add", x, _feed_forward(graph, graph.norm(x)))
    first = graph.add("Gather", graph.norm(x), graph.constant(np.array(0, np.int64)), axis=1)
    graph.nodes.append(helper.make_node("MatMul", [first, graph.weight(WIDTH, OUT)], ["image_embeds"]))
    inputs = [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])]
    outputs = [helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["n", OUT])]
    weights = [numpy_helper.from_array(array, name) for name, array in graph.weights.items()]
    made = helper.make_graph(graph.nodes, "vit", inputs, outputs, weights)
    folder.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.save(model, str(folder / "model.onnx"))
    (folder / "preprocessor_config.json").write_text(json.dumps(CLIP), encoding="utf-8")
    return folder


def _patches(graph: _Graph, patch: int) -> str:
    count = (SIDE // patch) ** 2
    kernel = graph.constant((graph.dice.normal(size=(WIDTH, 3, patch, patch)) / patch).astype(np.float32))
    found = graph.add("Conv", "pixel_values", kernel, strides=[patch, patch])
    rows = graph.add("Transpose", graph.add("Reshape", found, graph.numbers(0, WIDTH, -1)), perm=[0, 2, 1])
    padded = graph.add("Pad", rows, graph.numbers(0, 1, 0, 0, 0, 0))  # the class token is its place alone
    return graph.norm(graph.add("Add", padded, graph.weight(count + 1, WIDTH)))


def _attention(graph: _Graph, x: str) -> str:
    query, key, value = (_heads(graph, graph.dense(x, WIDTH, WIDTH), perm) for perm in _orders())
    scale = graph.constant(np.array((WIDTH // HEADS) ** -0.5, np.float32))
    weights = graph.add("Softmax", graph.add("Mul", graph.add("MatMul", query, key), scale), axis=-1)
    mixed = graph.add("Transpose", graph.add("MatMul", weights, value), perm=[0, 2, 1, 3])
    return graph.dense(graph.add("Reshape", mixed, graph.numbers(0, 0, WIDTH)), WIDTH, WIDTH)


def _orders() -> Iterator[list[int]]:
    """The order of the axes of query, key and value."""
    yield from ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])


def _heads(graph: _Graph, x: str, order: list[int]) -> str:
    split = graph.add("Reshape", x, graph.numbers(0, 0, HEADS, WIDTH // HEADS))
    return graph.add("Transpose", split, perm=order)


def _feed_forward(graph: _Graph, x: str) -> str:
    wide = graph.dense(x, WIDTH, 4 * WIDTH)
    gate = graph.add("Sigmoid", graph.add("Mul", wide, graph.constant(np.array(1.702, np.float32))))
    return graph.dense(graph.add("Mul", wide, gate), 4 * WIDTH, WIDTH)
