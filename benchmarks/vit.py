"""A vision transformer as an ONNX model with random weights, as heavy as CLIP's ViT-B/32 or another of its kind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from benchmarks.onnx_graph import Graph

SIDE, WIDTH, HEADS, LAYERS, OUT = 224, 768, 12, 12, 512

CLIP = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": SIDE},
    "crop_size": {"height": SIDE, "width": SIDE},
}


def write_vit(folder: Path, patch: int = 32) -> Path:
    """Writes a folder with `model.onnx` and its settings; patches of 32 x 32 pixels, or of 16 x 16."""
    graph = Graph(WIDTH, HEADS)
    x = _patches(graph, patch)
    for _ in range(LAYERS):
        x = graph.add("Add", x, graph.attention(graph.norm(x)))
        x = graph.add("Add", x, _feed_forward(graph, graph.norm(x)))
    first = graph.add("Gather", graph.norm(x), graph.constant(np.int64(0)), axis=1)
    graph.add("MatMul", first, graph.weight(WIDTH, OUT), name="image_embeds")
    inputs = [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])]
    outputs = [helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["n", OUT])]
    graph.save(folder / "model.onnx", inputs, outputs)
    (folder / "preprocessor_config.json").write_text(json.dumps(CLIP), encoding="utf-8")
    return folder


def _patches(graph: Graph, patch: int) -> str:
    count = (SIDE // patch) ** 2
    kernel = graph.constant((graph.dice.normal(size=(WIDTH, 3, patch, patch)) / patch).astype(np.float32))
    found = graph.add("Conv", "pixel_values", kernel, strides=[patch, patch])
    rows = graph.add("Transpose", graph.add("Reshape", found, graph.numbers(0, WIDTH, -1)), perm=[0, 2, 1])
    padded = graph.add("Pad", rows, graph.numbers(0, 1, 0, 0, 0, 0))  # the class token is its place alone
    return graph.norm(graph.add("Add", padded, graph.weight(count + 1, WIDTH)))


def _feed_forward(graph: Graph, x: str) -> str:
    wide = graph.dense(x, WIDTH, 4 * WIDTH)
    gate = graph.add("Sigmoid", graph.add("Mul", wide, graph.real(1.702)))
    return graph.dense(graph.add("Mul", wide, gate), 4 * WIDTH, WIDTH)
