"""The heads against their formulas, written out item by item."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from huse.train.network.heads import CertaintyHead, SharedHead, _certainty


@pytest.mark.parametrize("blend", [0.0, 0.4])
@pytest.mark.parametrize("logits", ["dense", "cosine"])
def test_head_equals_its_formula(logits: str, blend: float) -> None:
    rng = np.random.default_rng(0)
    head = SharedHead(3, logits, blend)
    x = rng.normal(size=(5, 4)).astype(np.float32)
    head(x)
    head.set_weights([rng.normal(size=w.shape).astype(np.float32) * 0.7 for w in head.get_weights()])
    w, b = head.get_weights()[:2]
    embedding, z = (np.asarray(value) for value in head(x))
    for i in range(5):
        u = x[i] / np.linalg.norm(x[i])
        prototypes = [row / np.linalg.norm(row) for row in w]
        scale = np.exp(head.get_weights()[2]) if logits == "cosine" else 1.0
        expected = np.array([scale * u @ (prototypes[k] if logits == "cosine" else w[k]) + b[k] for k in range(3)])
        np.testing.assert_allclose(z[i], expected, rtol=1e-4, atol=1e-5)
        p = np.exp(expected) / np.exp(expected).sum()
        toward = sum((p[k] - 1 / 3) * (prototypes[k] - np.mean(prototypes, axis=0)) for k in range(3))
        mixed = (1 - blend) * u + blend * toward / np.linalg.norm(toward)
        np.testing.assert_allclose(embedding[i], mixed / np.linalg.norm(mixed), rtol=1e-3, atol=1e-5)


def certain(classes: int = 3, width: int = 6, own: int = 2, blend: float = 0.6) -> tuple[CertaintyHead, np.ndarray]:
    """A head whose bias is not 0, and five tower outputs."""
    rng = np.random.default_rng(0)
    head, x = CertaintyHead(classes, own, blend, seed=5), rng.normal(size=(5, width)).astype(np.float32)
    head(x, modality="image")
    head.bias.assign(rng.normal(size=classes))
    return head, x


@pytest.mark.parametrize("modality", ["image", "text"])
def test_certainty_equals_its_formula(modality: str) -> None:
    head, x = certain()
    w, g, b = (np.asarray(value) for value in (head.directions, head.projection, head.bias))
    scale = float(np.exp(head.log_scale))
    embedding, logits = (np.asarray(value) for value in head(x, modality=modality))
    for i in range(5):
        u = x[i] / np.linalg.norm(x[i])
        z = np.array([scale * u @ w[k] + b[k] for k in range(3)])
        np.testing.assert_allclose(logits[i], z, rtol=1e-4, atol=1e-5)
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        meaning, sure = 0.4 * u + 0.6 * sum(p[k] * w[k] for k in range(3)), np.sqrt(sum(p * p))
        shared = meaning / np.linalg.norm(meaning) * np.sqrt(sure)
        own = u @ g / np.linalg.norm(u @ g) * np.sqrt(1 - sure)
        expected = [*shared, *own, 0, 0] if modality == "image" else [*shared, 0, 0, *own]
        np.testing.assert_allclose(embedding[i], expected, atol=1e-5)


def test_cosine_across_modalities_is_that_of_the_shared_part() -> None:
    head, x = certain()
    image, text = (np.asarray(head(x, modality=m)[0]) for m in ("image", "text"))
    np.testing.assert_allclose(np.linalg.norm(image, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(image @ text.T, image[:, :6] @ text[:, :6].T, atol=1e-5)


def test_one_class_for_sure_is_nearer_than_many_perhaps() -> None:
    head = CertaintyHead(2, 1, 0.9, seed=1)
    head(np.zeros((1, 4), np.float32), modality="image")
    w = np.asarray(head.directions)
    x = np.stack([w[0], w[0] + 0.98 * w[1]]).astype(np.float32)
    image, text = (np.asarray(head(x, modality=m)[0]) for m in ("image", "text"))
    assert text[0] @ image[0] > 0.95 > text[1] @ image[1]
    assert text[0] @ image[0] > text[0] @ image[1]


def test_what_a_sure_class_leaves_is_told_to_the_last_digits() -> None:
    for p in ([1 - 3e-9, 2e-9, 1e-9], [0.5, 0.5, 0.0], [1 / 3] * 3, [1.0, 0.0, 0.0], [0.2, 0.5, 0.3]):
        sure, lacking = (float(np.asarray(v)[0, 0]) for v in _certainty(keras.ops.convert_to_tensor([p], "float32")))
        exact = 1 - float(np.sqrt(sum(np.longdouble(x) ** 2 for x in p[1:]) + np.longdouble(p[0]) ** 2))
        np.testing.assert_allclose(lacking, exact, rtol=1e-4, atol=1e-12)
        np.testing.assert_allclose(sure, 1 - exact, rtol=1e-5)


def test_training_sees_the_unit_tower_output() -> None:
    head, x = certain()
    embedding = np.asarray(head(x, modality="text", training=True)[0])
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(embedding, unit, atol=1e-6)


def test_directions_are_orthogonal_where_there_is_room_and_fixed() -> None:
    head, _ = certain()
    directions = np.asarray(head.directions)
    np.testing.assert_allclose(directions @ directions.T, np.eye(3), atol=1e-5)
    assert {weight.name for weight in head.trainable_weights} == {"bias", "log_scale"}
    crowded, x = certain(classes=9)
    np.testing.assert_allclose(np.linalg.norm(np.asarray(crowded(x, modality="image")[0]), axis=1), 1, atol=1e-5)


def test_without_dimensions_of_their_own_vectors_have_length_1() -> None:
    head, x = certain(own=0)
    image, text = (np.asarray(head(x, modality=m)[0]) for m in ("image", "text"))
    np.testing.assert_array_equal(image, text)
    np.testing.assert_allclose(np.linalg.norm(image, axis=1), 1, atol=1e-5)


def test_certainty_is_saved_and_loaded(tmp_path: Path) -> None:
    head = CertaintyHead(3, 2, 0.6, seed=5)
    inputs = keras.Input((6,))
    model = keras.Model(inputs, head(inputs, modality="text"))
    model.save(tmp_path / "head.keras")
    again = keras.saving.load_model(tmp_path / "head.keras", compile=False, safe_mode=True)
    x = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    for before, after in zip(model(x), again(x), strict=True):
        np.testing.assert_array_equal(before, after)
