from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from huse.features.modality import Pair, Side
from huse.train.config import PRESETS, FitConfig
from huse.train.data.batches import TrainingRows
from huse.train.network.forward import fuse, make_forward
from huse.train.network.towers import build_towers

SMALL = FitConfig(dimension=8, hidden_units=16)
IMAGE = np.random.default_rng(0).gamma(1.0, size=(20, 6))
TEXT = np.random.default_rng(1).normal(size=(20, 4))
BOTH = Pair(image=IMAGE, text=TEXT)


def data(image: NDArray[np.float64], text: NDArray[np.float64]) -> TrainingRows:
    sides = Pair(image=image, text=text).map(lambda vectors: Side(vectors.astype(np.float32), np.ones(20, bool)))
    return TrainingRows(
        image=sides.image,
        text=sides.text,
        labels=np.zeros(20, np.int32),
        content=Pair.by_name(lambda _: np.arange(20, dtype=np.int32)),
    )


def towers(rows: TrainingRows, config: FitConfig) -> keras.Model:
    return build_towers(rows, np.arange(20), 3, config)


def dense_layers(network: keras.Model, tower: str) -> list[int]:
    layers = network.get_layer(f"{tower}_tower").layers
    return [layer.units for layer in layers if isinstance(layer, keras.layers.Dense)]


def test_paper_preset_has_the_published_shape() -> None:
    paper = PRESETS["paper"]
    network = towers(data(IMAGE, TEXT), paper)
    assert dense_layers(network, "image") == [512] * 5 + [512]
    assert dense_layers(network, "text") == [512] * 2 + [512]
    rates = [layer.rate for layer in network.get_layer("image_tower").layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.15] * 5
    assert (paper.optimizer, paper.learning_rate, paper.momentum) == ("rmsprop", 1.6192e-5, 0.9)
    assert (paper.batch_size, paper.steps, paper.margin, paper.blend, paper.delta) == (1024, 250_000, "paper", 0, 0)


def test_a_shortcut_adds_a_linear_map_to_the_hidden_layers() -> None:
    rows = data(IMAGE, TEXT)
    tower = towers(rows, replace(SMALL, square_root=False)).get_layer("image_tower")
    hidden, out, linear = (layer for layer in tower.layers if isinstance(layer, keras.layers.Dense))
    hidden.set_weights([np.zeros_like(w) for w in hidden.get_weights()])
    standardized = (rows.image.vectors - rows.image.vectors.mean(axis=0)) / rows.image.vectors.std(axis=0)
    expected = standardized @ linear.get_weights()[0] + out.get_weights()[1]
    np.testing.assert_allclose(tower(rows.image.vectors).numpy(), expected, atol=1e-5)
    assert dense_layers(towers(rows, replace(SMALL, shortcut=False, blend=0.0)), "image") == [16, 8]


def test_outputs_are_unit_vectors_and_shared_logits() -> None:
    out = make_forward(towers(data(IMAGE, TEXT), SMALL))(BOTH).given()
    assert list(out) == ["image", "text"]
    for output in out.values():
        np.testing.assert_allclose(np.linalg.norm(output.embedding, axis=1), 1, atol=1e-5)
        assert output.logits.shape == (20, 3)


def test_standardizing_makes_scale_and_offset_of_inputs_irrelevant() -> None:
    config = replace(SMALL, square_root=False)
    out = make_forward(towers(data(IMAGE, TEXT), config))(BOTH).given()["image"]
    moved = IMAGE * 40 + 7
    again = make_forward(towers(data(moved, TEXT), config))(Pair(image=moved, text=TEXT)).given()["image"]
    np.testing.assert_allclose(out.embedding, again.embedding, atol=1e-3)


def test_saves_and_loads_in_safe_mode(tmp_path: Path) -> None:
    network = towers(data(IMAGE, TEXT), SMALL)
    network.save(tmp_path / "n.keras")
    again = keras.saving.load_model(tmp_path / "n.keras", compile=False, safe_mode=True)
    before, after = (make_forward(each)(BOTH).given() for each in (network, again))
    for modality, output in before.items():
        np.testing.assert_array_equal(after[modality].embedding, output.embedding)
        np.testing.assert_array_equal(after[modality].logits, output.logits)


def test_one_seed_one_network_and_one_modality_one_tower() -> None:
    a, b = (towers(data(IMAGE, TEXT), replace(SMALL, seed=seed)) for seed in (5, 5))
    for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)
    alone = towers(data(IMAGE, np.zeros((20, 0))), SMALL)
    assert list(make_forward(alone)(Pair(image=IMAGE, text=None)).given()) == ["image"]


def test_batches_of_any_length_are_compiled_once() -> None:
    compiled = []

    def network(batch: dict[str, Any], training: bool) -> dict[str, Any]:
        compiled.append(training)
        return {f"image_{output}": batch["image"] for output in ("embedding", "logits")}

    forward = make_forward(network)
    for n in (20, 7, 0, 1):
        output = forward(Pair(image=IMAGE[:n], text=None)).image
        assert output is not None
        np.testing.assert_array_equal(output.embedding, IMAGE[:n].astype(np.float32))
    assert compiled == [False]


def test_fuse_by_hand() -> None:
    image, text = np.array([[0.8, 0.2]] * 4), np.array([[0.2, 0.8]] * 4)
    present = Pair(image=np.array([True, True, False, False]), text=np.array([True, False, True, False]))
    fused = fuse(Pair(image=image, text=text), present, 0.25)
    np.testing.assert_allclose(fused, [[0.35, 0.65], [0.8, 0.2], [0.2, 0.8], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(fuse(Pair(image=image, text=None), present, 0.25)[:, 0], [0.8, 0.8, 0, 0], atol=1e-6)
    np.testing.assert_allclose(fuse(Pair(image=None, text=text), present, 0.25)[:, 0], [0.2, 0, 0.2, 0], atol=1e-6)
