"""The refit: fresh towers on all training rows, the held out ones too."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.train.config import FitConfig
from huse.train.data.task import Task
from huse.train.loop.best import Best, Saved, keep
from huse.train.loop.checkpoint import Checkpoint
from huse.train.loop.tensorboard import Board
from huse.train.loop.training import Training
from huse.train.network.towers import build_towers

LEAST_REFIT_EPOCHS = 10
"""A refit after an earlier best takes this many epochs, its learning rate decaying over them."""


def refit(
    task: Task,
    rows: NDArray[np.integer],
    config: FitConfig,
    best: Best,
    checkpoint: Checkpoint | None,
    board: Board | None,
    saved: Saved | None,
) -> keras.Model:
    """Fresh towers, trained on all rows for the epochs found best, and for at most `config.steps` steps.

    An early best is a lucky moment at the full rate: then it takes `LEAST_REFIT_EPOCHS`, over which the rate decays, so
    that it ends in a calm state.
    """
    calm = best.epoch < LEAST_REFIT_EPOCHS and not config.steps
    config = replace(config, epochs=min(LEAST_REFIT_EPOCHS, config.epochs)) if calm else config
    with best.spent.on("prepare"):
        training = best.training
        if training is None:  # the search was over when the fit was interrupted
            network = build_towers(task.data, rows, len(task.classes), config)
            training = Training(network, task.data, rows, task.graph, task.class_vectors, config, best.spent)
        else:
            training.start_over(rows, config)
    start, epochs = 1, training.epochs if calm else min(best.epoch, training.epochs)
    if saved:
        training.restore(saved[0])
        start = saved[1]["done"] + 1
    with tqdm(total=epochs, initial=start - 1, desc="refit", unit="epoch", disable=None) as bar:
        for epoch in range(start, epochs + 1):
            best.history.append({"phase": "refit", **training.epoch(epoch)})
            if board:
                board.epoch(best.history[-1])
            bar.update()
            bar.set_postfix(loss=f"{best.history[-1]['loss']:.3f}")
            keep(checkpoint, "refit", epoch, training, best)
    return training.network
