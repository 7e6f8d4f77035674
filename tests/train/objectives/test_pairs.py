"""The contrastive loss of pairs against a plain loop, and who takes part in which loss of a partly labeled batch."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from huse.features.modality import Pair
from huse.train.config import FitConfig
from huse.train.objectives.batch import Batch, Items, Pairing
from huse.train.objectives.pairs import pair_loss
from huse.train.objectives.registry import objective_of

B, D, K = 9, 5, 3
CONFIG = FitConfig(pair_weight=1.0, temperature=0.3)


def unit(rng: np.random.Generator) -> np.ndarray:  # type: ignore[type-arg]
    x = rng.normal(size=(B, D)) + 0.5
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=range(3))
def batch(request: pytest.FixtureRequest) -> Batch:
    """Rows 0 to 3 have a label, 4 and 5 share an image, 6 and 0 a text; row 8 is 7 again."""
    rng = np.random.default_rng(request.param)
    vectors = Pair.by_name(lambda _: unit(rng))
    masks = Pair.by_name(lambda _: ((rng.random(B) < 0.8) | (request.param == 0)).astype(np.float32))
    items = Pair.by_name(
        lambda m: Items(
            tf.constant(vectors.of(m)), tf.constant(rng.normal(size=(B, K)), tf.float32), tf.constant(masks.of(m))
        )
    )
    content = Pair(
        image=tf.constant([0, 1, 2, 3, 4, 4, 6, 7, 7], tf.int32),
        text=tf.constant([0, 1, 2, 3, 4, 5, 0, 7, 7], tf.int32),
    )
    labeled = tf.constant([1.0] * 4 + [0.0] * 5)
    return Batch(
        items,
        tf.constant([0, 1, 2, 0, 0, 0, 0, 0, 0], tf.int32),
        tf.constant(1 - np.eye(K), tf.float32),
        tf.zeros((K, 0)),
        tf.ones(K),
        tf.constant([0, 0], tf.int64),
        Pairing(labeled, content),
    )


def test_equals_the_plain_loop(batch: Batch) -> None:
    assert batch.pairing is not None
    image, text = (its.embedding.numpy().astype(float) for its in batch.items)
    both = batch.both().numpy() > 0
    contents = [numbers.numpy() for _, numbers in batch.pairing.content.items()]
    terms = []
    for i in range(4, B):
        if not both[i]:
            continue
        for a, b in ((image, text), (text, image)):
            others = [
                j for j in range(B) if both[j] and j != i and not any(numbers[i] == numbers[j] for numbers in contents)
            ]
            own = math.exp(a[i] @ b[i] / 0.3)
            terms.append(-math.log(own / (own + sum(math.exp(a[i] @ b[j] / 0.3) for j in others))))
    loss = objective_of("huse")(batch, CONFIG)["pairs"]
    assert float(loss) == pytest.approx(np.mean(terms), abs=1e-5)
    assert float(objective_of("huse")(batch, replace(CONFIG, pair_weight=7.0))["pairs"]) == pytest.approx(7 * loss)


def test_gradient_equals_finite_differences(batch: Batch) -> None:
    assert batch.pairing is not None
    both, different = batch.both(), batch.pairing.different()
    others, anchors = both[:, None] * both[None, :] * different, both * (1 - batch.pairing.labeled)
    vectors = tf.stack(batch.embeddings())

    def loss(values: tf.Tensor) -> tf.Tensor:
        return pair_loss(values[0], values[1], anchors, others, 0.3)

    with tf.GradientTape() as tape:
        tape.watch(vectors)
        value = loss(vectors)
    gradient, step = tape.gradient(value, vectors).numpy(), 1e-2
    for place in np.ndindex(2, B, D):
        nudge = np.zeros(vectors.shape, np.float32)
        nudge[place] = step
        slope = float(loss(vectors + nudge) - loss(vectors - nudge)) / (2 * step)
        assert slope == pytest.approx(gradient[place], abs=2e-3)
    assert np.abs(gradient).max() > 1e-2


def test_an_anchor_without_negatives_costs_nothing() -> None:
    vectors = tf.constant(unit(np.random.default_rng(0)))
    assert float(pair_loss(vectors, -vectors, tf.ones(B), tf.zeros((B, B)), 0.1)) == pytest.approx(0, abs=1e-5)
    assert float(pair_loss(vectors, -vectors, tf.zeros(B), tf.ones((B, B)), 0.1)) == 0


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_losses_by_class_are_those_of_the_labeled_rows_alone(batch: Batch, beta: float) -> None:
    config = replace(CONFIG, beta=beta, delta=beta)
    some = slice(0, 4)
    items = batch.modalities.map(lambda its: its and Items(its.embedding[some], its.logits[some], its.present[some]))
    alone = replace(batch, modalities=items, labels=batch.labels[some], pairing=None)
    ours, theirs = (objective_of("huse")(each, config) for each in (batch, alone))
    assert "pairs" not in theirs
    for part in set(theirs) - {"gap"}:
        assert float(ours[part]) == pytest.approx(float(theirs[part]), rel=1e-4)
    image, text = (v.numpy() for v in batch.embeddings())
    gaps = [1 - image[i] @ text[i] for i in range(B) if batch.both()[i] > 0]
    assert float(ours["gap"]) == pytest.approx(config.gamma * np.mean(gaps), rel=1e-4)


def test_without_classes_the_gap_and_the_pairs_are_left(batch: Batch) -> None:
    none = replace(batch, graph=tf.zeros((0, 0)), labels=tf.zeros(B, tf.int32))
    assert set(objective_of("huse")(none, CONFIG)) == {"gap", "pairs"}
