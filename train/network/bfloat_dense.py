"""A dense layer that multiplies in bfloat16 while it is trained."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="huse")
class BfloatDense(keras.layers.Dense):
    """A dense layer of float32 weights whose products, forward and backward, are in bfloat16 in training.

    What is multiplied is rounded to bfloat16, and so is the product; bias, activation and all gradients that are added
    up are float32. Outside of training it is `keras.layers.Dense`.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """(n, I) to (n, units)."""
        if not training:
            return super().call(inputs)
        product = ops.matmul(ops.cast(inputs, "bfloat16"), ops.cast(self.kernel, "bfloat16"))
        sums = ops.cast(product, "float32")
        sums = sums if self.bias is None else sums + self.bias
        return self.activation(sums)
