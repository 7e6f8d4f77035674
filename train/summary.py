"""What a fit did, and where its time went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

Item = TypeVar("Item")


class Spent:
    """Seconds of a fit, by what they were spent on.

    The stages are ``prepare`` (finding out which rows there are and what their features are like, loading them unless
    they are streamed, and building the towers), ``read`` (waiting for windows of streamed features, which are read
    while others are trained on), ``train`` (the training steps) and ``validate`` (the metrics of validation rows).
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(("prepare", "read", "train", "validate"), 0.0)

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """Counts the time of a block, but for what blocks within it count."""
        began, before = time.perf_counter(), sum(self.seconds.values())
        try:
            yield
        finally:
            within = sum(self.seconds.values()) - before
            self.seconds[stage] += time.perf_counter() - began - within

    def reading(self, items: Iterator[Item]) -> Iterator[Item]:
        """The items; the time until each is there counts as reading."""
        while True:
            with self.on("read"):
                item = next(items, None)
            if item is None:
                return
            yield item


@dataclass(frozen=True)
class FitSummary:
    """What a fit did; summaries are equal whatever their stages took.

    Attributes:
        classes: number of classes.
        train_rows: rows trained on while looking for the best epoch.
        unlabeled_rows: how many of them have no label.
        val_rows: rows that chose the epoch and the fusion weight.
        epochs: epochs run while looking for the best.
        best_epoch: the epoch with the best validation score.
        refit: whether the towers were then trained on the held out rows too.
        seconds: wall time, reading the store included.
        seconds_prepare: of these, until training could begin; see `Spent`.
        seconds_read: waiting for streamed features.
        seconds_train: training steps.
        seconds_validate: metrics of validation rows.
        metrics: validation metrics of the best epoch.
        semantic_graph: what the distances of classes come from.
    """

    classes: int
    train_rows: int
    unlabeled_rows: int
    val_rows: int
    epochs: int
    best_epoch: int
    refit: bool
    seconds: float
    seconds_prepare: float = field(compare=False)
    seconds_read: float = field(compare=False)
    seconds_train: float = field(compare=False)
    seconds_validate: float = field(compare=False)
    metrics: dict[str, Any]
    semantic_graph: str
