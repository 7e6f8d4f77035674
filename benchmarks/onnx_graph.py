"""Transformers written as ONNX models, with weights drawn at random, which take as long as any."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET, IR = 17, 8
APART = [0, 2, 1, 3]
"""The order of axes by which (n, tokens, heads, width of a head) becomes one matrix a head."""


@dataclass
class Graph:
    """Nodes in order, and weights by name.

    Attributes:
        width: of a token's vector.
        heads: of an attention.
    """

    width: int
    heads: int
    nodes: list[Any] = field(default_factory=list)
    weights: dict[str, NDArray[Any]] = field(default_factory=dict)
    dice: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def add(self, operation: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """A node, and the name of what comes out of it."""
        name = name or f"{operation}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    def weight(self, *shape: int) -> str:
        """Of random numbers, as large as keep what goes through in bounds."""
        return self.constant((self.dice.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32))

    def constant(self, value: Any) -> str:
        """An array."""
        name = f"w{len(self.weights)}"
        self.weights[name] = np.asarray(value)
        return name

    def real(self, value: float) -> str:
        """One number."""
        return self.constant(np.float32(value))

    def numbers(self, *values: int) -> str:
        """A shape, or axes."""
        return self.constant(np.array(values, np.int64))

    def dense(self, x: str, width: int, out: int) -> str:
        """A layer without activation."""
        return self.add("Add", self.add("MatMul", x, self.weight(width, out)), self.weight(out))

    def norm(self, x: str) -> str:
        """A layer normalization."""
        ones, zeros = np.ones(self.width, np.float32), np.zeros(self.width, np.float32)
        return self.add("LayerNormalization", x, self.constant(ones), self.constant(zeros), axis=-1)

    def attention(self, x: str, shift: str = "") -> str:
        """Of all tokens to all; `shift` is added before the softmax, (n, 1, 1, tokens)."""
        query, key, value = (self._heads(self.dense(x, self.width, self.width)) for _ in range(3))
        turned = self.add("Transpose", key, perm=[0, 1, 3, 2])
        scaled = self.add("Mul", self.add("MatMul", query, turned), self.real((self.width // self.heads) ** -0.5))
        weights = self.add("Softmax", self.add("Add", scaled, shift) if shift else scaled, axis=-1)
        mixed = self.add("Transpose", self.add("MatMul", weights, value), perm=APART)
        return self.dense(self.add("Reshape", mixed, self.numbers(0, 0, self.width)), self.width, self.width)

    def _heads(self, x: str) -> str:
        split = self.add("Reshape", x, self.numbers(0, 0, self.heads, self.width // self.heads))
        return self.add("Transpose", split, perm=APART)

    def save(self, out: Path, inputs: list[Any], outputs: list[Any]) -> None:
        """Writes the model."""
        weights = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        made = helper.make_graph(self.nodes, "g", inputs, outputs, weights)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        onnx.checker.check_model(model)
        out.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, str(out))
