"""The baselines' losses against plain-Python loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from huse.features.errors import FitError
from huse.features.store import ClassVectors, Store
from huse.train import config as configuration
from huse.train.config import FitConfig
from huse.train.evaluation.evaluate import evaluate_model
from huse.train.fit import fit_model
from huse.train.objectives import objectives
from huse.train.objectives.objectives import OBJECTIVES, Batch

B, D, K = 8, 5, 3
CONFIG = FitConfig(hinge=0.3, alpha=0.0, beta=1.0, gamma=1.0)


def unit(x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=range(3))
def batch(request: pytest.FixtureRequest) -> Batch:
    rng = np.random.default_rng(request.param)
    image, text = (unit(rng.normal(size=(B, D)) + 0.5) for _ in range(2))
    outputs = {"image_embedding": image, "text_embedding": text}
    outputs |= {f"{m}_logits": rng.normal(size=(B, K)).astype(np.float32) for m in ("image", "text")}
    masks = {m: (rng.random(B) < 0.8).astype(np.float32) for m in ("image", "text")}
    if request.param == 0:
        masks = {m: np.ones(B, np.float32) for m in masks}
    labels = np.arange(B) % K
    vectors = unit(rng.normal(size=(K, D)))
    return Batch(
        {k: tf.constant(v) for k, v in outputs.items()},
        tf.constant(labels, tf.int32),
        {k: tf.constant(v) for k, v in masks.items()},
        tf.constant(1 - np.eye(K), tf.float32),
        tf.constant(vectors),
        tf.ones(K),
        tf.constant([0, 0], tf.int64),
    )


@pytest.fixture(autouse=True)
def first_instead_of_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positives are drawn at random in training; here the first is taken, so that loops can follow."""

    def first(values: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, tf.argmax(tf.cast(mask > 0, tf.int32), axis=1), batch_dims=1)

    monkeypatch.setattr(objectives, "_random_pick", first)


def loss(name: str, batch: Batch) -> dict[str, float]:
    return {part: float(value) for part, value in OBJECTIVES[name](batch, CONFIG).items()}


def pooled(batch: Batch) -> tuple[list[np.ndarray], list[int]]:  # type: ignore[type-arg]
    vectors, labels = [], []
    for m in ("image", "text"):
        for i in range(B):
            if batch.present[m][i] > 0:
                vectors.append(batch.outputs[f"{m}_embedding"].numpy()[i].astype(float))
                labels.append(int(batch.labels[i]))
    return vectors, labels


def test_triplet(batch: Batch) -> None:
    vectors, labels = pooled(batch)
    terms = []
    for i, a in enumerate(vectors):
        positives = [j for j, y in enumerate(labels) if y == labels[i] and j != i]
        against = [1 - a @ vectors[j] for j, y in enumerate(labels) if y != labels[i]]
        if positives and against:
            chosen = 1 - a @ vectors[positives[0]]
            harder = [d for d in against if d > chosen]
            terms.append(max(0.0, chosen - (min(harder) if harder else max(against)) + CONFIG.hinge))
    assert loss("triplet", batch)["triplet"] == pytest.approx(np.mean(terms), abs=1e-5)


def test_cme(batch: Batch) -> None:
    image, text = (batch.outputs[f"{m}_embedding"].numpy().astype(float) for m in ("image", "text"))
    both = [i for i in range(B) if batch.present["image"][i] * batch.present["text"][i] > 0]
    together = np.mean([1 - image[i] @ text[i] for i in both])
    apart = np.mean([max(0.0, image[i] @ text[j]) for i in both for j in both if i != j])
    assert loss("cme", batch)["pairs"] == pytest.approx(together + apart, abs=1e-5)


def test_adamine(batch: Batch) -> None:
    image, text = (batch.outputs[f"{m}_embedding"].numpy().astype(float) for m in ("image", "text"))
    labels = batch.labels.numpy()
    both = [i for i in range(B) if batch.present["image"][i] * batch.present["text"][i] > 0]
    expected = {"instance": 0.0, "semantic": 0.0}
    for a, b in ((image, text), (text, image)):
        for name in expected:
            terms = []
            for i in both:
                same = (lambda j, i=i: labels[j] == labels[i]) if name == "semantic" else (lambda j, i=i: j == i)
                positive = next(j for j in both if same(j))
                terms += [
                    max(0.0, (1 - a[i] @ b[positive]) - (1 - a[i] @ b[j]) + CONFIG.hinge) for j in both if not same(j)
                ]
            active = [term for term in terms if term > 0]
            expected[name] += 0.5 * sum(active) / max(len(active), 1)
    assert loss("adamine", batch) == pytest.approx(expected, abs=1e-5)


def test_devise_and_hie(batch: Batch) -> None:
    vectors, labels = pooled(batch)
    names = batch.class_vectors.numpy().astype(float)
    ranking = [
        sum(max(0.0, CONFIG.hinge - v @ names[y] + v @ names[k]) for k in range(K) if k != y)
        for v, y in zip(vectors, labels, strict=True)
    ]
    distance = [1 - v @ names[y] for v, y in zip(vectors, labels, strict=True)]
    assert loss("devise", batch)["ranking"] == pytest.approx(np.mean(ranking), abs=1e-5)
    assert loss("hie", batch)["projection"] == pytest.approx(np.mean(distance), abs=1e-5)
    assert loss("huse-p", batch)["projection"] == pytest.approx(2 * np.mean(distance), abs=1e-5)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_gradient_equals_finite_differences(name: str, batch: Batch) -> None:
    """At random places of the outputs; of the hinges, one in ten may have its kink just there."""
    config = replace(CONFIG, alpha=1.0, delta=1.0)
    rng = np.random.default_rng(0)

    def total(outputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.add_n(list(OBJECTIVES[name](replace(batch, outputs=outputs), config).values()))

    with tf.GradientTape() as tape:
        tape.watch(batch.outputs)
        value = total(batch.outputs)
    gradient = tape.gradient(value, batch.outputs, unconnected_gradients="zero")
    errors = []
    for key in rng.choice(sorted(batch.outputs), 40):
        place, step = tuple(rng.integers(0, batch.outputs[key].shape)), 1e-3
        nudge = np.zeros(batch.outputs[key].shape, np.float32)
        nudge[place] = step
        ahead, behind = (float(total({**batch.outputs, key: batch.outputs[key] + s * nudge})) for s in (1, -1))
        errors.append(abs((ahead - behind) / (2 * step) - float(gradient[key][place])))
    assert any(float(tf.reduce_max(tf.abs(g))) > 1e-2 for g in gradient.values())
    assert np.quantile(errors, 0.9) < 2e-3


def test_weights_scale_their_parts(batch: Batch) -> None:
    one = OBJECTIVES["huse"](batch, replace(CONFIG, alpha=1.0, beta=1.0, gamma=1.0, delta=1.0))
    many = OBJECTIVES["huse"](batch, replace(CONFIG, alpha=2.0, beta=3.0, gamma=5.0, delta=7.0))
    for part, factor in (("class", 2), ("graph", 3), ("gap", 5), ("contrastive", 7)):
        assert float(many[part]) == pytest.approx(factor * float(one[part]), rel=1e-5)


def test_names_agree() -> None:
    assert set(OBJECTIVES) == set(configuration.OBJECTIVES)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_every_objective_trains_and_saves(name: str, small_store: Store, tmp_path: Path) -> None:
    labels = sorted(set(small_store.load().label))
    vectors = np.random.default_rng(1).normal(size=(3, 16)).astype(np.float32)
    small_store.write_classes(ClassVectors(labels, labels, vectors, "another encoder"))
    config = FitConfig(objective=name, dimension=16, hidden_units=32, learning_rate=0.01, epochs=16, refit=False)
    fit_model(small_store.path, tmp_path / "m", config)
    result = evaluate_model(tmp_path / "m", small_store.path)
    if name not in objectives.WITHOUT_SPACE:
        assert result["retrieval"]["image_to_text"]["map"] > (0.3 if name == "cme" else 0.45)  # it parts classmates too
    if name not in objectives.WITHOUT_CLASSIFIER:
        assert result["accuracy"]["fused"] > 0.5


def test_objectives_that_can_not_be_trained_say_why(small_store: Store, tmp_path: Path) -> None:
    with pytest.raises(FitError, match=r"devise maps onto class-name vectors: .* in 4 dimensions, --dimension is 16"):
        fit_model(small_store.path, tmp_path / "m", FitConfig(objective="devise", dimension=16))
    texts = Store.create(tmp_path / "t", replace(small_store.info, image=None))
    with pytest.raises(FitError, match="cme needs images and texts"):
        fit_model(texts.path, tmp_path / "m", FitConfig(objective="cme"))
