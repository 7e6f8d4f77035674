from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from huse.train.loop.adamw import AdamW


def stepped(optimizer: Any) -> list[list[np.ndarray]]:  # type: ignore[type-arg]
    """Weights and moments after each of five steps, of which the fourth has no gradient."""
    rng = np.random.default_rng(0)
    variables = [keras.Variable(rng.normal(size=shape), dtype="float32") for shape in ((7, 5), (5,), ())]
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(*gradients: tf.Tensor) -> None:
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    after = []
    for number in range(5):
        step(*(tf.constant(rng.normal(size=v.shape) * (number != 3), tf.float32) for v in variables))
        after.append([np.array(v) for v in (*variables, *optimizer.variables)])
    return after


def test_it_is_that_of_keras() -> None:
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 8)
    ours, theirs = stepped(AdamW(schedule, 0.3)), stepped(keras.optimizers.AdamW(schedule, weight_decay=0.3))
    for own, other in zip(ours, theirs, strict=True):
        for a, b in zip(own, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)
    assert not np.array_equal(ours[-1][0], stepped(AdamW(schedule, 0.0))[-1][0]), "the decay counts"
