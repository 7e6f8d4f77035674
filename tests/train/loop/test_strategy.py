"""Several devices: the same losses and weights as one, the pairwise losses over the global batch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from huse.features.store import Store

CODE = """
import sys
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from huse.features.store import Store
from huse.train.objectives import pairwise
from huse.train.config import FitConfig
from huse.train.loop.training import Training
from huse.train.data.task import prepare
from huse.train.network.towers import build_towers

config = FitConfig(
    dimension=16, hidden_units=32, dropout=DROPOUT, input_dropout=0.0, batch_size=BATCH, learning_rate=0.01
)
pairwise.COMPILE_FROM = 16
task = prepare(Store.open(sys.argv[1]), config)
results = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    with strategy.scope():
        network = build_towers(task.data, task.train, len(task.classes), config)
        training = Training(network, task.data, task.train, task.graph, task.class_vectors, config)
        losses = [training.epoch(number)["loss"] for number in range(1, 5)]
        results.append((training.batch_size, losses, network.get_weights()))
        again = Training(network, task.data, task.train, task.graph, task.class_vectors, config)
        again.restore(training.state())
(size, one, weights), (two_size, two, two_weights) = results
assert (size, two_size) == (BATCH, BATCH // 2 * 2), (size, two_size)
print(one, two)
if DROPOUT:
    assert two[-1] < 0.8 * two[0]
else:
    np.testing.assert_allclose(one[0], two[0], rtol=1e-4)
    np.testing.assert_allclose(one, two, rtol=1e-2)
    # of a gradient near 0 the sign is chance, and the first steps of Adam take the sign alone
    apart = np.concatenate([np.abs(a - b).ravel() for a, b in zip(weights, two_weights)])
    assert np.quantile(apart, 0.95) < 2e-3, np.quantile(apart, 0.95)
"""


@pytest.mark.parametrize(("batch", "dropout"), [(16, 0.0), (15, 0.5)])
def test_two_devices_train_as_one(small_store: Store, batch: int, dropout: float) -> None:
    code = CODE.replace("BATCH", str(batch)).replace("DROPOUT", str(dropout))
    run = subprocess.run([sys.executable, "-c", code, str(small_store.path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
