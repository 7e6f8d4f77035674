"""Products in bfloat16 are of training alone, and the rest of a fit is what it was."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from huse.features import processor
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model
from huse.train.config import FitConfig
from huse.train.data.task import prepare
from huse.train.fit import fit_model
from huse.train.loop.checkpoint import identity
from huse.train.network.bfloat_dense import BfloatDense
from huse.train.network.precision import arithmetic

CONFIG = FitConfig(dimension=16, hidden_units=32, epochs=2, batch_size=32, patience=0)


def rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(tf.cast(tf.cast(values, tf.bfloat16), tf.float32))


def test_a_layer_rounds_what_it_multiplies_in_training_alone() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 30)).astype(np.float32)
    mine, plain = BfloatDense(20, activation="relu"), keras.layers.Dense(20, activation="relu")
    for layer in (mine, plain):
        layer.build(x.shape)
    weights = [rng.normal(size=w.shape).astype(np.float32) for w in plain.get_weights()]
    for layer in (mine, plain):
        layer.set_weights(weights)
    exact, trained = plain(x).numpy(), mine(x, training=True).numpy()
    np.testing.assert_array_equal(mine(x).numpy(), exact)
    expected = np.maximum(rounded(x) @ rounded(weights[0]) + weights[1], 0)
    assert trained.dtype == np.float32
    np.testing.assert_allclose(trained, expected, rtol=0.01, atol=0.05)
    assert not np.array_equal(trained, exact)


def test_gradients_are_those_of_float32_but_for_rounding() -> None:
    x = tf.constant(np.random.default_rng(0).normal(size=(40, 30)), tf.float32)
    layer = BfloatDense(20, kernel_initializer=keras.initializers.GlorotUniform(seed=0))
    layer.build(x.shape)
    found = []
    for training in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(layer(x, training=training)))
        found.append(tape.gradient(loss, [x, *layer.trainable_variables]))
    for exact, coarse in zip(*found, strict=True):
        assert coarse.dtype == tf.float32
        assert tf.norm(exact - coarse) < 0.02 * tf.norm(exact)


@pytest.mark.parametrize(
    ("flags", "auto"),
    [
        (set(), "float32"),
        ({"avx2", "avx512f", "avx512_vnni"}, "float32"),
        ({"avx512f", "avx512_bf16"}, "bfloat16"),
        ({"avx512f", "amx_tile", "amx_bf16"}, "bfloat16"),
    ],
)
def test_auto_follows_from_the_processor_alone(flags: set[str], auto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "cpu_flags", lambda: flags)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])
    assert [arithmetic(precision) for precision in ("auto", "float32", "bfloat16")] == [auto, "float32", "bfloat16"]


def test_a_model_says_what_it_was_trained_in_and_embeds_in_float32(small_store: Store, tmp_path: Path) -> None:
    fits = {}
    for precision in ("float32", "bfloat16"):
        folder = tmp_path / precision
        fit_model(small_store.path, folder, replace(CONFIG, precision=precision))
        fits[precision] = load_model(folder)
        assert fits[precision].config.precision == precision
        assert tomllib.loads((folder / "settings.toml").read_text())["fit"]["precision"] == precision
    exact, coarse = fits["float32"], fits["bfloat16"]
    assert exact.fingerprint != coarse.fingerprint
    exact.network.set_weights(coarse.network.get_weights())
    assert {w.dtype for w in coarse.network.get_weights()} == {np.dtype(np.float32)}
    vectors = small_store.read(0).modalities.map(lambda its: its.vectors)
    for one, other in zip(*(fit.forward(vectors).given().values() for fit in (exact, coarse)), strict=True):
        np.testing.assert_array_equal(one.embedding, other.embedding)


def test_a_checkpoint_from_before_there_was_a_choice_is_one_of_float32(small_store: Store) -> None:
    config = replace(CONFIG, precision="float32")
    task = prepare(small_store, config)
    before = {name: value for name, value in config.to_dict().items() if name != "precision"}
    written = json.dumps(before, sort_keys=True) + task.digest
    assert identity(task, config) == hashlib.sha256(written.encode()).hexdigest()
    assert identity(task, replace(config, precision="bfloat16")) != identity(task, config)
