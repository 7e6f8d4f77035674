"""The fast pairwise losses against the plain ones of losses.py, values and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from huse.train.classes.semantic_graph import graph_from_vectors
from huse.train.objectives.losses import contrastive_loss, graph_loss
from huse.train.objectives.pairwise import COMPILE_FROM, pairwise_losses


def unit(vectors: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("margin", ["paper", "push"])
@pytest.mark.parametrize("modalities", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_plain_losses(seed: int, modalities: int, margin: str) -> None:
    rng = np.random.default_rng(seed)
    b, d, k = 14, 6, 9 if seed == 3 else 4
    if seed == 4:
        b = COMPILE_FROM
    labels = tf.constant(np.arange(b) % k if seed == 3 else rng.integers(0, k, b), tf.int32)
    vectors = [tf.Variable(unit(rng.normal(size=(b, d)) + 0.6).astype(np.float32)) for _ in range(modalities)]
    present = [tf.constant((rng.random(b) < (0.7 if seed else 1.1)).astype(np.float32)) for _ in range(modalities)]
    graph = tf.constant(graph_from_vectors(rng.normal(size=(k, 3)) + 0.8))
    weights = (1.7, 0.6)

    with tf.GradientTape() as tape:
        fast = pairwise_losses(list(map(tf.identity, vectors)), labels, present, graph, 0.7, margin, 0.2)
        total = weights[0] * fast[0] + weights[1] * fast[1]
    fast_gradients = tape.gradient(total, vectors)
    with tf.GradientTape() as tape:
        pooled, there = tf.concat(vectors, 0), tf.concat(present, 0)
        names = tf.tile(labels, [modalities])
        plain = (
            graph_loss(pooled, names, there, graph, 0.7, margin),
            contrastive_loss(pooled, names, there, 0.2),
        )
        total = weights[0] * plain[0] + weights[1] * plain[1]
    plain_gradients = tape.gradient(total, vectors)

    np.testing.assert_allclose([float(x) for x in fast], [float(x) for x in plain], rtol=2e-5, atol=1e-6)
    for ours, theirs in zip(fast_gradients, plain_gradients, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-3, atol=2e-6)


def test_without_a_temperature_the_contrastive_loss_is_none() -> None:
    rng = np.random.default_rng(0)
    labels, present = tf.constant([0, 0, 1, 2, 2]), [tf.ones(5), tf.ones(5)]
    vectors = [tf.Variable(unit(rng.normal(size=(5, 3))).astype(np.float32)) for _ in range(2)]
    graph = tf.constant(graph_from_vectors(rng.normal(size=(3, 3)) + 0.8))
    values, gradients = [], []
    for temperature in (None, 0.2):
        with tf.GradientTape() as tape:
            losses = pairwise_losses(list(map(tf.identity, vectors)), labels, present, graph, 0.7, "push", temperature)
            total = losses[0] + losses[1] if temperature is None else losses[0]
        values.append([float(loss) for loss in losses])
        gradients.append(tape.gradient(total, vectors))
    assert values[0] == [pytest.approx(values[1][0]), 0.0]
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-7)


def test_a_batch_without_positives_or_rows_gives_finite_gradients() -> None:
    vectors = tf.Variable(np.eye(4, dtype=np.float32))
    graph = tf.constant(1 - np.eye(4), tf.float32)
    for present in (tf.ones(4), tf.zeros(4)):
        with tf.GradientTape() as tape:
            losses = pairwise_losses([tf.identity(vectors)], tf.range(4), [present], graph, 0.7, "push", 0.1)
            total = losses[0] + losses[1]
        assert np.isfinite(tape.gradient(total, vectors).numpy()).all()
        assert float(losses[1]) == 0.0
