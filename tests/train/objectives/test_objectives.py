"""The baselines' losses against plain-Python loops."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from huse.features.errors import FitError
from huse.features.modality import Pair
from huse.features.store import Store
from huse.train.config import FitConfig
from huse.train.fit import fit_model
from huse.train.objectives.baselines.positives import has_any, random_positive
from huse.train.objectives.baselines.sdml import class_directions
from huse.train.objectives.batch import Batch, Items
from huse.train.objectives.registry import OBJECTIVES, objective_of

B, D, K = 8, 5, 3
CONFIG = FitConfig(hinge=0.3, alpha=0.0, beta=1.0, gamma=1.0)


def unit(x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=range(3))
def batch(request: pytest.FixtureRequest) -> Batch:
    rng = np.random.default_rng(request.param)
    vectors = Pair.by_name(lambda _: unit(rng.normal(size=(B, D)) + 0.5))
    logits = Pair.by_name(lambda _: rng.normal(size=(B, K)).astype(np.float32))
    masks = Pair.by_name(lambda _: ((rng.random(B) < 0.8) | (request.param == 0)).astype(np.float32))
    items = Pair.by_name(lambda m: Items(*(tf.constant(each.of(m)) for each in (vectors, logits, masks))))
    labels = np.arange(B) % K
    class_vectors = unit(rng.normal(size=(K, D)))
    return Batch(
        items,
        tf.constant(labels, tf.int32),
        tf.constant(1 - np.eye(K), tf.float32),
        tf.constant(class_vectors),
        tf.ones(K),
        tf.constant([0, 0], tf.int64),
    )


def drawn(mask: np.ndarray, seed: tf.Tensor) -> list[int]:  # type: ignore[type-arg]
    """The column that is drawn for each row of a mask."""
    columns = np.tile(np.arange(mask.shape[1], dtype=np.float32), (len(mask), 1))
    return [int(c) for c in random_positive(tf.constant(columns), tf.constant(mask, tf.float32), seed)]


def test_positives_are_drawn_from_the_mask_by_the_seed_and_all_alike() -> None:
    mask = np.zeros((300, 9), np.float32)
    mask[:, [1, 4, 8]] = 1
    first, again, other = (np.array(drawn(mask, tf.constant([0, s], tf.int64))) for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    counts = np.bincount(first, minlength=9)
    assert counts.sum() == counts[[1, 4, 8]].sum()
    assert counts[[1, 4, 8]].min() > 60, "100 expected of each, 8 is a standard deviation"
    assert has_any(tf.constant([[0.0, 0.0], [0.0, 1.0]])).numpy().tolist() == [0, 1]


def loss(name: str, batch: Batch) -> dict[str, float]:
    return {part: float(value) for part, value in objective_of(name)(batch, CONFIG).items()}


def pooled(batch: Batch) -> tuple[list[np.ndarray], list[int]]:  # type: ignore[type-arg]
    vectors, labels = [], []
    for its in batch.items:
        for i in range(B):
            if its.present[i] > 0:
                vectors.append(its.embedding.numpy()[i].astype(float))
                labels.append(int(batch.labels[i]))
    return vectors, labels


def test_triplet(batch: Batch) -> None:
    vectors = np.concatenate([v.numpy().astype(float) for v in batch.embeddings()])
    labels, there = np.tile(batch.labels.numpy(), 2), np.concatenate([m.numpy() for m in batch.present()]) > 0
    same = (labels[:, None] == labels) & there & there[:, None] & ~np.eye(2 * B, dtype=bool)
    positives = drawn(same, batch.seed)
    terms = []
    for i, a in enumerate(vectors):
        against = [1 - a @ vectors[j] for j in range(2 * B) if there[j] and labels[j] != labels[i]]
        if there[i] and same[i].any() and against:
            chosen = 1 - a @ vectors[positives[i]]
            harder = [d for d in against if d > chosen]
            terms.append(max(0.0, chosen - (min(harder) if harder else max(against)) + CONFIG.hinge))
    assert loss("triplet", batch)["triplet"] == pytest.approx(np.mean(terms), abs=1e-5)


def test_cme(batch: Batch) -> None:
    image, text = (its.embedding.numpy().astype(float) for its in batch.items)
    both = [i for i in range(B) if batch.both()[i] > 0]
    together = np.mean([1 - image[i] @ text[i] for i in both])
    apart = np.mean([max(0.0, image[i] @ text[j]) for i in both for j in both if i != j])
    assert loss("cme", batch)["pairs"] == pytest.approx(together + apart, abs=1e-5)


def test_adamine(batch: Batch) -> None:
    image, text = (its.embedding.numpy().astype(float) for its in batch.items)
    labels = batch.labels.numpy()
    both = batch.both().numpy() > 0
    pairs = both[:, None] & both
    same = {"instance": np.eye(B, dtype=bool) & pairs, "semantic": (labels[:, None] == labels) & pairs}
    expected = {"instance": 0.0, "semantic": 0.0}
    for way, (a, b) in enumerate(((image, text), (text, image))):
        seed = tf.random.experimental.stateless_fold_in(batch.seed, way)
        for name in expected:
            positives = drawn(same[name], seed)
            terms = [
                max(0.0, (1 - a[i] @ b[positives[i]]) - (1 - a[i] @ b[j]) + CONFIG.hinge)
                for i in range(B)
                for j in range(B)
                if pairs[i, j] and not same[name][i, j]
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


def pairs_of(batch: Batch) -> tuple[np.ndarray, np.ndarray, list[int]]:  # type: ignore[type-arg]
    """Vectors of images and texts, and the rows that have both."""
    image, text = (its.embedding.numpy().astype(float) for its in batch.items)
    return image, text, [i for i in range(B) if batch.both()[i] > 0]


def test_infonce(batch: Batch) -> None:
    image, text, both = pairs_of(batch)
    terms = []
    for a, b in ((image, text), (text, image)):
        for i in both:
            shares = {j: math.exp(a[i] @ b[j] / CONFIG.temperature) for j in both}
            terms.append(-math.log(shares[i] / sum(shares.values())))
    assert loss("infonce", batch) == {"pairs": pytest.approx(np.mean(terms), abs=1e-5)}


def test_sigmoid(batch: Batch) -> None:
    image, text, both = pairs_of(batch)
    total = 0.0
    for i in both:
        for j in both:
            logit = image[i] @ text[j] / CONFIG.temperature - math.log(len(both) - 1)
            total -= math.log(1 / (1 + math.exp(-logit if i == j else logit)))
    assert loss("sigmoid", batch) == {"pairs": pytest.approx(total / len(both), abs=1e-5)}


def test_supcon(batch: Batch) -> None:
    vectors, labels = pooled(batch)
    terms = []
    for i, a in enumerate(vectors):
        shares = {j: math.exp(a @ b / CONFIG.temperature) for j, b in enumerate(vectors) if j != i}
        same = [j for j in shares if labels[j] == labels[i]]
        if same:
            terms.append(-np.mean([math.log(shares[j] / sum(shares.values())) for j in same]))
    assert loss("supcon", batch) == {"contrastive": pytest.approx(np.mean(terms), abs=1e-5)}


def test_dscmr(batch: Batch) -> None:
    image, text, both = pairs_of(batch)
    labels, there = batch.labels.numpy(), [m.numpy() > 0 for m in batch.present()]
    by_label = 0.0
    for its, has in zip(batch.items, there, strict=True):
        logits = its.logits.numpy().astype(float)
        by_label += np.mean([np.linalg.norm(logits[i] - np.eye(K)[labels[i]]) for i in range(B) if has[i]])
    by_similarity = 0.0
    for a, b, first, second in ((image, image, 0, 0), (text, text, 1, 1), (image, text, 0, 1)):
        terms = [
            math.log(1 + math.exp(a[i] @ b[j] / 2)) - (labels[i] == labels[j]) * (a[i] @ b[j] / 2)
            for i in range(B)
            for j in range(B)
            if there[first][i] and there[second][j]
        ]
        by_similarity += np.mean(terms)
    apart = np.mean([np.linalg.norm(image[i] - text[i]) for i in both])
    weights = replace(CONFIG, alpha=2.0, beta=3.0, gamma=5.0)
    found = {part: float(value) for part, value in objective_of("dscmr")(batch, weights).items()}
    expected = {"class": 2 * by_label, "similarity": 3 * by_similarity, "invariance": 5 * apart}
    assert found == pytest.approx(expected, abs=1e-4)


def test_sdml(batch: Batch) -> None:
    vectors, labels = pooled(batch)
    space = class_directions(D, K)
    distance = [np.linalg.norm(v @ space - np.eye(K)[y]) for v, y in zip(vectors, labels, strict=True)]
    one = objective_of("sdml")(batch, replace(CONFIG, alpha=2.0))
    assert float(one["class"]) == pytest.approx(2 * np.mean(distance), abs=1e-4)


@pytest.mark.parametrize(("dimension", "classes"), [(5, 3), (3, 3), (4, 9), (6, 1)])
def test_classes_have_directions_of_their_own(dimension: int, classes: int) -> None:
    space = class_directions(dimension, classes)
    assert space.shape == (dimension, classes)
    cosines = space.T @ space
    np.testing.assert_allclose(np.diag(cosines), 1, atol=1e-6)
    if classes <= dimension:
        np.testing.assert_allclose(cosines, np.eye(classes), atol=1e-6)
    assert np.abs(cosines - np.eye(classes)).max() < 0.999
    assert (space == class_directions(dimension, classes)).all()


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_gradient_equals_finite_differences(name: str, batch: Batch) -> None:
    """At every place of the outputs, but where a hinge has its kink: there the slope depends on the step."""
    config = replace(CONFIG, alpha=1.0, delta=1.0)
    given = batch.modalities.given()
    outputs = {f"{m}_embedding": its.embedding for m, its in given.items()}
    outputs |= {f"{m}_logits": its.logits for m, its in given.items()}

    @tf.function(autograph=False)
    def total(values: dict[str, tf.Tensor]) -> tf.Tensor:
        items = Pair.by_name(lambda m: Items(values[f"{m}_embedding"], values[f"{m}_logits"], given[m].present))
        return tf.add_n(list(objective_of(name)(replace(batch, modalities=items), config).values()))

    with tf.GradientTape() as tape:
        tape.watch(outputs)
        value = total(outputs)
    gradient = tape.gradient(value, outputs, unconnected_gradients="zero")

    def slopes(key: str, place: tuple[int, ...], step: float) -> tuple[float, float]:
        """The central difference, and by how much the one-sided ones differ."""
        nudge = np.zeros(outputs[key].shape, np.float32)
        nudge[place] = step
        ahead, behind = (float(total({**outputs, key: outputs[key] + s * nudge})) for s in (1, -1))
        return (ahead - behind) / (2 * step), (ahead - 2 * float(value) + behind) / step

    places = [(key, place) for key in outputs for place in np.ndindex(*outputs[key].shape)]
    kinks = 0
    for key, place in places:
        (near, bend), (far, wider) = slopes(key, place, 2e-3), slopes(key, place, 4e-3)
        if abs(near - far) > 1e-3 or abs(wider - 2 * bend) > 4e-3:  # of a smooth function the bend grows with the step
            kinks += 1
        else:
            assert near == pytest.approx(float(gradient[key][place]), abs=3e-3)
    assert any(float(tf.reduce_max(tf.abs(g))) > 1e-2 for g in gradient.values())
    assert kinks < len(places) / 5, "cme and adamine have a hinge for every pair"


def test_weights_scale_their_parts(batch: Batch) -> None:
    one = objective_of("huse")(batch, replace(CONFIG, alpha=1.0, beta=1.0, gamma=1.0, delta=1.0))
    many = objective_of("huse")(batch, replace(CONFIG, alpha=2.0, beta=3.0, gamma=5.0, delta=7.0))
    for part, factor in (("class", 2), ("graph", 3), ("gap", 5), ("contrastive", 7)):
        assert float(many[part]) == pytest.approx(factor * float(one[part]), rel=1e-5)


def test_objectives_that_can_not_be_trained_say_why(small_store: Store, tmp_path: Path) -> None:
    with pytest.raises(
        FitError, match=r"devise maps onto class-name vectors: .* in 4 dimensions, dimension=16 \(--dimension\)"
    ):
        fit_model(small_store.path, tmp_path / "m", FitConfig(objective="devise", dimension=16))
    texts = Store.create(tmp_path / "t", replace(small_store.info, image=None))
    with pytest.raises(FitError, match="cme needs images and texts"):
        fit_model(texts.path, tmp_path / "m", FitConfig(objective="cme"))
