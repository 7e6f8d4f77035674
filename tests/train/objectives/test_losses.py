"""Every loss against a plain-Python loop written from the paper, and its gradient against finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from huse.train.classes.semantic_graph import graph_from_vectors
from huse.train.objectives import losses
from huse.train.objectives.pairwise import pairwise_losses

Array = NDArray[np.float64]
N, D, K = 12, 5, 4
ZETA = 0.7


def unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(params=range(4))
def batch(request: pytest.FixtureRequest) -> dict[str, Array]:
    rng = np.random.default_rng(request.param)
    present = np.ones(N) if request.param == 0 else (rng.random(N) < 0.7).astype(float)
    return {
        "embeddings": unit(rng.normal(size=(N, D)) + rng.normal(size=D)),
        "logits": rng.normal(size=(N, K)) * 3,
        "labels": rng.integers(0, K, N),
        "present": present,
        "graph": graph_from_vectors(rng.normal(size=(K, 3)) + 0.8).astype(float),
        "classes": unit(rng.normal(size=(K, D))),
    }


def distance(a: Array, b: Array) -> float:
    return 1 - sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def loop_classification(b: dict[str, Array]) -> float:
    total = count = 0.0
    for n in range(N):
        if b["present"][n]:
            total -= math.log(math.exp(b["logits"][n][b["labels"][n]]) / sum(math.exp(z) for z in b["logits"][n]))
            count += 1
    return total / count


def loop_graph(b: dict[str, Array], margin: str) -> float:
    total = count = 0.0
    for m in range(N):
        for n in range(N):
            if not (b["present"][m] and b["present"][n]):
                continue
            count += 1
            d, a = distance(b["embeddings"][m], b["embeddings"][n]), b["graph"][b["labels"][m]][b["labels"][n]]
            if a < ZETA and d < ZETA:
                total += (d - a) ** 2
            if margin == "push" and a >= ZETA:
                total += max(0.0, ZETA - d) ** 2
    return total / count


def loop_gap(b: dict[str, Array]) -> float:
    half = N // 2
    both = [n for n in range(half) if b["present"][n] and b["present"][half + n]]
    return sum(distance(b["embeddings"][n], b["embeddings"][half + n]) for n in both) / len(both)


def loop_contrastive(b: dict[str, Array], temperature: float) -> float:
    rows = [n for n in range(N) if b["present"][n]]
    terms = []
    for i in rows:
        positives = [p for p in rows if p != i and b["labels"][p] == b["labels"][i]]
        if positives:
            weight = {a: math.exp((1 - distance(b["embeddings"][i], b["embeddings"][a])) / temperature) for a in rows}
            everything = sum(weight[a] for a in rows if a != i)
            terms.append(-sum(math.log(weight[p] / everything) for p in positives) / len(positives))
    return sum(terms) / len(terms)


def loop_projection(b: dict[str, Array]) -> float:
    rows = [n for n in range(N) if b["present"][n]]
    return 2 * sum(distance(b["embeddings"][n], b["classes"][b["labels"][n]]) for n in rows) / len(rows)


def tensors(b: dict[str, Array]) -> dict[str, tf.Tensor]:
    return {k: tf.constant(v, tf.int32 if k == "labels" else tf.float64) for k, v in b.items()}


def graph_as(margin: str) -> Callable[[dict[str, tf.Tensor]], tf.Tensor]:
    def loss(t: dict[str, tf.Tensor]) -> tf.Tensor:
        return losses.graph_loss(t["embeddings"], t["labels"], t["present"], t["graph"], ZETA, margin)

    return loss


def gap(t: dict[str, tf.Tensor]) -> tf.Tensor:
    half = N // 2
    both = t["present"][:half] * t["present"][half:]
    return losses.gap_loss(t["embeddings"][:half], t["embeddings"][half:], both)


CASES: dict[str, tuple[Callable[..., tf.Tensor], Callable[..., float], str]] = {
    "classification": (
        lambda t: losses.classification_loss(t["logits"], t["labels"], t["present"]),
        loop_classification,
        "logits",
    ),
    "graph, margin paper": (graph_as("paper"), lambda b: loop_graph(b, "paper"), "embeddings"),
    "graph, margin push": (graph_as("push"), lambda b: loop_graph(b, "push"), "embeddings"),
    "gap": (gap, loop_gap, "embeddings"),
    "contrastive": (
        lambda t: losses.contrastive_loss(t["embeddings"], t["labels"], t["present"], 0.2),
        lambda b: loop_contrastive(b, 0.2),
        "embeddings",
    ),
    "projection": (
        lambda t: losses.projection_loss(t["embeddings"], tf.gather(t["classes"], t["labels"]), t["present"]),
        loop_projection,
        "embeddings",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_plain_loop(name: str, batch: dict[str, Array]) -> None:
    loss, loop, _ = CASES[name]
    assert float(loss(tensors(batch))) == pytest.approx(loop(batch), abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_gradient_equals_finite_differences(name: str, batch: dict[str, Array]) -> None:
    loss, _, variable = CASES[name]
    values = tensors(batch)
    with tf.GradientTape() as tape:
        tape.watch(values[variable])
        result = loss(values)
    gradient = tape.gradient(result, values[variable]).numpy()
    step = 1e-6
    for place in np.ndindex(*batch[variable].shape):
        shifted = []
        for sign in (1, -1):
            moved = batch[variable].copy()
            moved[place] += sign * step
            shifted.append(float(loss({**values, variable: tf.constant(moved)})))
        assert gradient[place] == pytest.approx((shifted[0] - shifted[1]) / (2 * step), abs=1e-5)


def test_graph_loss_by_hand() -> None:
    embeddings = tf.constant([[1.0, 0.0], [0.6, 0.8]])  # at distance 0.4
    graph = tf.constant([[0.0, 0.1], [0.1, 0.0]])
    labels, present = tf.constant([0, 1]), tf.ones(2)
    near = losses.graph_loss(embeddings, labels, present, graph, 0.5, "paper")
    assert float(near) == pytest.approx(2 * 0.3**2 / 4, rel=1e-5)
    far = losses.graph_loss(embeddings, labels, present, graph * 8, 0.5, "paper")
    assert float(far) == pytest.approx(0, abs=1e-6)  # eq. 10 as printed leaves far classes alone
    pushed = losses.graph_loss(embeddings, labels, present, graph * 8, 0.5, "push")
    assert float(pushed) == pytest.approx(2 * 0.1**2 / 4, rel=1e-4)


@pytest.mark.parametrize(("distance", "semantic"), [(0.4, 0.5), (0.5, 0.1)])
def test_graph_loss_at_the_margin_itself(distance: float, semantic: float) -> None:
    cosine = 1.0 - distance
    embeddings = tf.constant([[1.0, 0.0], [cosine, math.sqrt(1 - cosine**2)]], tf.float64)
    graph = tf.constant([[0.0, semantic], [semantic, 0.0]], tf.float64)
    args = embeddings, tf.constant([0, 1]), tf.ones(2, tf.float64), graph, 0.5
    assert float(losses.graph_loss(*args, "paper")) == pytest.approx(0, abs=1e-9)  # both must be below it
    short = 0.5 - distance if semantic >= 0.5 else 0.0
    assert float(losses.graph_loss(*args, "push")) == pytest.approx(2 * short**2 / 4, abs=1e-9)
    fast = [pairwise_losses([args[0]], *args[1:2], [args[2]], *args[3:], margin, None) for margin in ("paper", "push")]
    assert [float(graph_term) for graph_term, _ in fast] == pytest.approx([0, 2 * short**2 / 4], abs=1e-9)


def test_absent_rows_add_nothing() -> None:
    b = {"embeddings": unit(np.random.default_rng(0).normal(size=(N, D))), "labels": np.arange(N) % K}
    graph = np.ones((K, K)) - np.eye(K)
    kept = np.array([0, 1, 4, 5, 9])
    present = np.isin(np.arange(N), kept).astype(float)
    few = losses.contrastive_loss(
        tf.constant(b["embeddings"][kept]), tf.constant(b["labels"][kept]), tf.ones(5, tf.float64), 0.1
    )
    masked = losses.contrastive_loss(tf.constant(b["embeddings"]), tf.constant(b["labels"]), tf.constant(present), 0.1)
    assert float(few) == pytest.approx(float(masked))
    args = (tf.constant(graph), ZETA, "push")
    few = losses.graph_loss(
        tf.constant(b["embeddings"][kept]), tf.constant(b["labels"][kept]), tf.ones(5, tf.float64), *args
    )
    masked = losses.graph_loss(tf.constant(b["embeddings"]), tf.constant(b["labels"]), tf.constant(present), *args)
    assert float(few) == pytest.approx(float(masked))
