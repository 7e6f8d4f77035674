"""Several devices: the same losses and weights as one, the pairwise losses over the global batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from samples import random_store
from tensorflow.python.framework import ops

from huse.features.store import Store
from huse.train.config import FitConfig
from huse.train.data.task import prepare
from huse.train.loop.training import Training
from huse.train.network.towers import build_towers

CODE = """
import sys
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from huse.features.store import Store
from huse.train.config import FitConfig
from huse.train.loop.strategy import mirrored
from huse.train.loop.training import Training
from huse.train.data.task import prepare
from huse.train.network.towers import build_towers

task = prepare(Store.open(sys.argv[1]), FitConfig())


def trained(strategy, config):
    with strategy.scope():
        network = build_towers(task.data, task.train, len(task.classes), config)
        training = Training(network, task.data, task.train, task.graph, task.class_vectors, config)
        losses = [training.epoch(number)["loss"] for number in range(1, 5)]
        again = Training(network, task.data, task.train, task.graph, task.class_vectors, config)
        again.restore(training.state())
        size, weights = training.batch_size, network.get_weights()
        placed = training.on_device(task.data)["labels"]
        if strategy.num_replicas_in_sync > 1:
            assert [copy.device[-5:] for copy in strategy.experimental_local_results(placed)] == ["CPU:0", "CPU:1"]
        if dropout:
            return size, losses, weights
        fewer = task.train[:202]  # in batches of another size
        fresh = build_towers(task.data, fewer, len(task.classes), config)
        expected = Training(fresh, task.data, fewer, task.graph, task.class_vectors, config).epoch(1)["loss"]
        training.start_over(fewer, config)
        np.testing.assert_allclose(training.epoch(1)["loss"], expected, rtol=1e-4)
        return size, losses, weights


for batch, dropout in ((256, 0.0), (257, 0.5)):  # from 256 on the pairwise losses are compiled
    config = FitConfig(
        dimension=16, hidden_units=32, dropout=dropout, input_dropout=0.0, batch_size=batch, learning_rate=0.01
    )
    strategies = tf.distribute.get_strategy(), mirrored(("CPU:0", "CPU:1"))
    (size, one, weights), (two_size, two, two_weights) = (trained(strategy, config) for strategy in strategies)
    assert (size, two_size) == (batch, batch // 2 * 2), (size, two_size)
    if dropout:
        assert two[-1] < 0.8 * two[0]
        continue
    np.testing.assert_allclose(one[0], two[0], rtol=1e-4)
    np.testing.assert_allclose(one, two, rtol=1e-2)
    # of a gradient near 0 the sign is chance, and the first steps of Adam take the sign alone
    apart = np.concatenate([np.abs(a - b).ravel() for a, b in zip(weights, two_weights)])
    assert np.quantile(apart, 0.95) < 2e-3, np.quantile(apart, 0.95)
"""


def test_two_devices_train_as_one(tmp_path: Path) -> None:
    """A batch that both share evenly, to the same weights, and one that they cannot, which learns.

    Both in one process, as the fits of a comparison are.
    """
    store = random_store(tmp_path / "store", n=1000, shard_size=500)
    run = subprocess.run([sys.executable, "-c", CODE, str(store.path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]


def test_a_fit_leaves_no_gradients_registered(small_store: Store) -> None:
    """TensorFlow would keep them, and the graphs that they are of, as long as the process lives."""
    config = FitConfig(dimension=16, hidden_units=32, batch_size=16)
    task = prepare(small_store, config)
    registered = len(ops.gradient_registry.list())
    network = build_towers(task.data, task.train, len(task.classes), config)
    Training(network, task.data, task.train, task.graph, task.class_vectors, config).epoch(1)
    assert len(ops.gradient_registry.list()) == registered
