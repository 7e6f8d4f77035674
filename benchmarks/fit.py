"""Training steps a second of our loop over Keras `Model.fit`, and its share of the machine's matrix-product peak.

    python -m benchmarks.fit [--rounds 5] [--json]

Both train the default preset's towers and losses at batch 1,024 on 68,000 rows of 512-d images and texts with 101
classes (the size of Food-101). `Model.fit` has the losses as a reader of the paper would write them (losses.py), over
the whole pooled batch. Rounds alternate; medians are printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click
import keras
import numpy as np
import tensorflow as tf

from benchmarks.figures import show
from huse.features.modality import Pair, Side
from huse.train.classes.semantic_graph import graph_from_vectors
from huse.train.config import FitConfig, preset
from huse.train.data.batches import TrainingRows, in_batches
from huse.train.loop.training import Training, make_optimizer
from huse.train.network.forward import EMBEDDING, LOGITS
from huse.train.network.towers import build_towers
from huse.train.objectives.losses import classification_loss, contrastive_loss, gap_loss, graph_loss

ROWS, DIMENSION, CLASSES, BATCH, STEPS = 68_000, 512, 101, 1024, 15


class KerasHuse(keras.Model):
    """The same network with the losses written out, trained by `Model.fit`."""

    def __init__(self, network: keras.Model, graph: Any, config: FitConfig) -> None:
        super().__init__()
        self.network, self.graph, self.config = network, tf.constant(graph), config

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Outputs of the network."""
        return self.network(inputs, training=training)

    def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG002
        """Eq. 5 and the contrastive loss over the pooled batch."""
        c = self.config
        image, text = (y_pred[name] for _, name in EMBEDDING.items())
        e = tf.concat([image, text], 0)
        z = tf.concat([y_pred[name] for _, name in LOGITS.items()], 0)
        labels, there = tf.tile(y, [2]), tf.ones(2 * tf.shape(y)[0])
        return (
            c.alpha * classification_loss(z, labels, there)
            + c.beta * graph_loss(e, labels, there, self.graph, c.zeta, c.margin)
            + c.gamma * gap_loss(image, text, tf.ones(tf.shape(y)[0]))
            + c.delta * contrastive_loss(e, labels, there, c.temperature)
        )


def make_data() -> tuple[TrainingRows, Any]:
    """Random rows of the benchmark's size, and a semantic graph."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2, ROWS, DIMENSION)).astype(np.float32)
    image, text = (Side(each, np.ones(ROWS, bool)) for each in vectors)
    labels = rng.integers(0, CLASSES, ROWS).astype(np.int32)
    content = Pair.by_name(lambda _: np.arange(ROWS, dtype=np.int32))
    rows = TrainingRows(image=image, text=text, labels=labels, content=content)
    return rows, graph_from_vectors(rng.normal(size=(CLASSES, 64)))


def flops_a_step(config: FitConfig) -> float:
    """Multiplications and additions that a step can not do without: towers, head and pairwise products."""
    h, d, items = config.hidden_units, config.dimension, 2 * BATCH
    towers = items * (3 * 2 * (DIMENSION * h + h * d) - 2 * DIMENSION * h)  # no gradient by the features
    towers += items * 2 * 2 * DIMENSION * d if config.shortcut else 0
    head = items * 3 * 2 * (d * CLASSES) * 2  # logits, and prototypes by posterior
    pairwise = (3 + 4) * 2 * BATCH * BATCH * d  # three blocks forward, four products backward
    return float(towers + head + pairwise)


def peak_flops() -> float:
    """Floating point operations a second of a 2048 x 2048 float32 product, best of several."""
    a = tf.random.normal((2048, 2048))
    return max(2 * 2048**3 / seconds(lambda: tf.matmul(a, a).numpy()) for _ in range(6))


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rounds: int, as_json: bool) -> None:
    """Prints steps/s of both, their ratio and the share of the peak."""
    config = preset("default", batch_size=BATCH)
    data, graph = make_data()
    names = np.zeros((CLASSES, 0), np.float32)
    rows = np.arange(ROWS)
    training = Training(build_towers(data, rows, CLASSES, config), data, rows, graph, names, config)
    features = training.on_device(data)
    batches = list(in_batches(np.random.default_rng(0).permutation(ROWS), BATCH))

    def ours() -> None:
        losses = [training.step(features, tf.constant(batch)) for batch in batches[:STEPS]]
        float(losses[-1]["loss"])

    theirs_model = KerasHuse(build_towers(data, rows, CLASSES, config), graph, config)
    theirs_model.compile(optimizer=make_optimizer(config, 10_000))
    some = slice(0, STEPS * BATCH)
    x, y = {modality: side.vectors[some] for modality, side in data.modalities.items()}, data.labels[some]

    def theirs() -> None:
        theirs_model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)

    ours()  # compiles
    theirs()
    times = [(seconds(ours), seconds(theirs), peak_flops()) for _ in range(rounds)]
    our_s, their_s, peak = (float(np.median(column)) for column in zip(*times, strict=True))
    result = {
        "steps_per_s": STEPS / our_s,
        "keras_steps_per_s": STEPS / their_s,
        "ratio_keras_fit": float(np.median([b / a for a, b, _ in times])),
        "peak_gflops": peak / 1e9,
        "share_of_peak": flops_a_step(config) * STEPS / our_s / peak,
    }
    show(result, as_json)


if __name__ == "__main__":
    main()
