"""Losses over prefixes against a plain loop, and their gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from huse.features.modality import Pair
from huse.train.config import FitConfig
from huse.train.objectives.batch import Batch, Items
from huse.train.objectives.nested import nested_losses
from huse.train.objectives.registry import objective_of

B, D, K, NESTED = 8, 6, 3, (2, 5)
CONFIG = FitConfig(alpha=1.0, beta=1.0, gamma=1.0, delta=1.0, temperature=0.5)

Arrays = dict[str, NDArray[np.float32]]


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def arrays() -> Arrays:
    rng = np.random.default_rng(0)
    return {name: unit(rng.normal(size=(n, D)) + 0.3) for name, n in (("image", B), ("text", B), ("names", K))}


def batch_of(arrays: dict[str, tf.Tensor]) -> Batch:
    logits = tf.constant(np.random.default_rng(1).normal(size=(B, K)), tf.float32)
    there = tf.constant([1, 1, 0, 1, 1, 1, 1, 1], tf.float32)
    return Batch(
        Pair.by_name(lambda m: Items(arrays[m], logits, there)),
        tf.constant(np.arange(B) % K, tf.int32),
        tf.constant(1 - np.eye(K), tf.float32),
        arrays["names"],
        tf.ones(K),
        tf.constant([0, 0], tf.int64),
    )


@pytest.mark.parametrize("name", ["huse", "huse-p", "triplet"])
def test_losses_are_means_over_the_whole_and_its_unit_prefixes(name: str, arrays: Arrays) -> None:
    objective = objective_of(name)
    parts = []
    for n in (D, *NESTED):
        cut = {key: tf.constant(unit(vectors[:, :n].astype(float))) for key, vectors in arrays.items()}
        parts.append({part: float(value) for part, value in objective(batch_of(cut), CONFIG).items()})
    batch = batch_of({key: tf.constant(vectors) for key, vectors in arrays.items()})
    found = {part: float(value) for part, value in nested_losses(objective, batch, CONFIG, NESTED).items()}
    assert found == pytest.approx({part: sum(each[part] for each in parts) / 3 for part in parts[0]}, abs=1e-5)
    own = {part: float(value) for part, value in objective(batch, CONFIG).items()}
    assert {part: float(value) for part, value in nested_losses(objective, batch, CONFIG, ()).items()} == own


def test_gradients_equal_finite_differences(arrays: Arrays) -> None:
    def total(values: dict[str, tf.Tensor]) -> tf.Tensor:
        losses = nested_losses(objective_of("huse"), batch_of(values), CONFIG, NESTED)
        return tf.add_n(list(losses.values()))

    inputs = {key: tf.constant(vectors) for key, vectors in arrays.items()}
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = total(inputs)
    gradient = tape.gradient(value, inputs, unconnected_gradients="zero")
    for row, column in np.random.default_rng(2).integers(0, (B, D), (16, 2)):
        nudge = np.zeros((B, D), np.float32)
        nudge[row, column] = step = 1e-3
        ahead, behind = (float(total({**inputs, "image": inputs["image"] + s * nudge})) for s in (1, -1))
        if abs(ahead - 2 * float(value) + behind) < 2e-3 * step:  # else a margin lies between
            assert (ahead - behind) / (2 * step) == pytest.approx(float(gradient["image"][row, column]), abs=2e-3)
