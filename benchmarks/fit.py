"""Training steps a second of our loop, Keras `Model.fit` and PyTorch, and their share of the machine's peak.

    python -m benchmarks.fit [--batch 512] [--rows 68000] [--rounds 5] [--no-torch] [--no-compile] [--json]

All train the default preset's towers and losses on 1,024-d images and 512-d texts of 101 classes (the size of
Food-101). `Model.fit` has the losses as a reader of the paper would write them (losses.py), over the whole pooled
batch; PyTorch, where it is installed (eager, and by `torch.compile`), has them from one matrix of pooled similarities,
starts from the same weights, and its loss of the first batch is checked to be the same. Where bfloat16 is native our
loop and PyTorch (autocast of the towers) take their products in it too. Rounds alternate; medians are printed. The
share of the peak is the time that the products of a step would take at the measured rate of a 2048 x 2048 product, each
in its type (8192 x 8192 on a GPU).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

with suppress(ImportError):
    import_module("torch._dynamo")  # loaded after TensorFlow it crashes

import click
import keras
import numpy as np
import tensorflow as tf

from benchmarks.figures import show
from benchmarks.machine import matmul_gflops
from huse.features.modality import Pair, Side
from huse.features.processor import multiplies_bfloat16
from huse.train.classes.semantic_graph import graph_from_vectors
from huse.train.config import FitConfig, preset
from huse.train.data.batches import TrainingRows, in_batches
from huse.train.loop.training import Training
from huse.train.network.forward import EMBEDDING, LOGITS
from huse.train.network.heads import shared_dimensions
from huse.train.network.towers import build_towers
from huse.train.objectives.losses import classification_loss, contrastive_loss, gap_loss, graph_loss

DIMENSIONS, CLASSES, STEPS = Pair(image=1024, text=512), 101, 15
SAME = 1e-3
"""By how much the losses of one batch may differ, relative to themselves."""


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


class Contest:
    """One set of rows, and those who train on it."""

    def __init__(self, rows: int, batch: int) -> None:
        self.config = preset("default", batch_size=batch, precision="float32")
        self.data, self.graph = make_data(rows)
        self.numbers = np.arange(rows)
        order = np.random.default_rng(0).permutation(np.resize(self.numbers, STEPS * batch))
        self.batches = list(in_batches(order, batch))

    def network(self, config: FitConfig) -> keras.Model:
        """New towers, those of one configuration equal."""
        return build_towers(self.data, self.numbers, CLASSES, config)

    def by_huse(self, precision: str) -> Callable[[], None]:
        """Our loop."""
        config = replace(self.config, precision=precision)
        names = np.zeros((CLASSES, 0), np.float32)
        training = Training(self.network(config), self.data, self.numbers, self.graph, names, config)
        features = training.on_device(self.data)

        def steps() -> None:
            losses = [training.step(features, batch) for batch in self.batches]
            float(losses[-1]["loss"])

        return steps

    def by_keras(self) -> Callable[[], None]:
        """Keras `Model.fit`, by Keras's own AdamW."""
        schedule = keras.optimizers.schedules.CosineDecay(self.config.learning_rate, 10_000)
        model = KerasHuse(self.network(self.config), self.graph, self.config)
        model.compile(optimizer=keras.optimizers.AdamW(schedule, weight_decay=self.config.weight_decay))
        some = np.concatenate(self.batches)
        x, y = {m: side.vectors[some] for m, side in self.data.modalities.items()}, self.data.labels[some]
        return lambda: model.fit(x, y, batch_size=self.config.batch_size, epochs=1, verbose=0) and None

    def by_torch(self, bfloat16: bool, compiled: bool) -> Callable[[], None]:
        """PyTorch."""
        from benchmarks.fit_torch import DEVICE, Huse, loss_without_dropout, make_steps

        network = self.network(self.config)
        model = Huse(network, self.graph, self.config, bfloat16).to(DEVICE)
        if not bfloat16:
            mine, theirs = self._loss(network), loss_without_dropout(model, self.data, self.batches[0])
            if abs(mine - theirs) > SAME * mine:
                raise SystemExit(f"the losses differ: {mine} by TensorFlow, {theirs} by PyTorch")
        steps = make_steps(model, self.data, compiled)
        return lambda: steps(self.batches)

    def _loss(self, network: keras.Model) -> float:
        batch = self.batches[0]
        x = {m: tf.constant(side.vectors[batch]) for m, side in self.data.modalities.items()}
        quiet = self.network(replace(self.config, dropout=0.0, input_dropout=0.0))
        quiet.set_weights(network.get_weights())
        model = KerasHuse(quiet, self.graph, self.config)
        return float(model.compute_loss(None, tf.constant(self.data.labels[batch]), quiet(x, training=True)))


def make_data(rows: int) -> tuple[TrainingRows, Any]:
    """Random rows of the benchmark's size, and a semantic graph."""
    rng = np.random.default_rng(0)
    sides = DIMENSIONS.map(lambda d: Side(rng.standard_normal((rows, d), np.float32), np.ones(rows, bool)))
    labels = rng.integers(0, CLASSES, rows).astype(np.int32)
    content = Pair.by_name(lambda _: np.arange(rows, dtype=np.int32))
    data = TrainingRows(image=sides.image, text=sides.text, labels=labels, content=content)
    return data, graph_from_vectors(rng.normal(size=(CLASSES, 64)))


def flops_a_step(config: FitConfig) -> tuple[float, float]:
    """Multiplications and additions that a step can not do without: those of the towers, and the others."""
    h, b = config.hidden_units, config.batch_size
    d = shared_dimensions(config.dimension)  # of the towers, and so of what the losses compare
    towers = 0.0
    for _, features in DIMENSIONS.items():
        by_features = features * (h + (d if config.shortcut else 0))  # whose gradient by the features is not needed
        towers += b * 2 * (2 * by_features + 3 * h * d)
    head = 2 * b * 2 * 2 * d * CLASSES  # logits, and their gradient by the features; class directions are not trained
    pairwise = (3 + 4) * 2 * b * b * d  # three blocks forward, four products backward
    return towers, float(head + pairwise)


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def contestants(contest: Contest, types: list[str], torch: bool, compiled: bool) -> dict[str, Callable[[], None]]:
    """Those who train, by name, each once on its way."""
    found = {f"huse_{dtype}": contest.by_huse(dtype) for dtype in types}
    found["keras_float32"] = contest.by_keras()
    for dtype in types if torch and find_spec("torch") else ():
        found[f"torch_{dtype}"] = contest.by_torch(dtype == "bfloat16", False)
        if compiled:
            found[f"torch_compiled_{dtype}"] = contest.by_torch(dtype == "bfloat16", True)
    return {name: steps for name, steps in found.items() if runs(name, steps)}


def runs(name: str, steps: Callable[[], None]) -> bool:
    """Takes the first steps, which compile; whether they can be, as torch.compile wants a compiler of C++."""
    try:
        steps()
    except Exception as error:
        if "compiled" not in name:
            raise
        click.echo(f"{name} is left out: {(str(error).splitlines() or [type(error).__name__])[0]}", err=True)
        return False
    return True


def measure(rows: int, batch: int, rounds: int, torch: bool, compiled: bool) -> dict[str, Any]:
    """All figures."""
    contest = Contest(rows, batch)
    types = ["float32", "bfloat16"] if multiplies_bfloat16(tf.config) else ["float32"]
    work: dict[str, Callable[[], Any]] = {**contestants(contest, types, torch, compiled)}
    times = [{name: seconds(steps) for name, steps in work.items()} for _ in range(rounds)]
    peaks = {dtype: matmul_gflops(dtype) * 1e9 for dtype in types}
    middle = {name: float(np.median([one[name] for one in times])) for name in work}
    result: dict[str, Any] = {"batch": batch, "rows": rows}
    result |= {f"{name}_steps_per_s": STEPS / value for name, value in middle.items()}
    result |= {f"peak_{dtype}_gflops": peak / 1e9 for dtype, peak in peaks.items()}
    towers, others = flops_a_step(contest.config)
    for dtype in types:
        best = towers / peaks[dtype] + others / peaks["float32"]
        result[f"share_of_peak_{dtype}"] = STEPS * best / middle[f"huse_{dtype}"]
        for name in work:
            if name.endswith(dtype) and not name.startswith("huse"):
                ratios = [one[name] / one[f"huse_{dtype}"] for one in times]
                result[f"ratio_{name}"] = float(np.median(ratios))
    if "bfloat16" in types:
        ratios = [one["huse_float32"] / one["huse_bfloat16"] for one in times]
        result["ratio_bfloat16_to_float32"] = float(np.median(ratios))
    return result


@click.command()
@click.option("--rows", default=68_000, show_default=True)
@click.option("--batch", default=512, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--torch/--no-torch", default=True, help="Beside PyTorch, where it is installed.")
@click.option("--compile/--no-compile", "compiled", default=True, help="Beside what torch.compile makes of it too.")
@click.option("--json", "as_json", is_flag=True)
def main(rows: int, batch: int, rounds: int, torch: bool, compiled: bool, as_json: bool) -> None:
    """Prints steps/s of all, how often ours is as fast, and the share of the peak."""
    show(measure(rows, batch, rounds, torch, compiled), as_json)


if __name__ == "__main__":
    main()
