"""The towers and losses of HUSE in PyTorch, written as its users write them, for benchmarks.fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from huse.features.modality import MODALITIES
from huse.train.config import FitConfig
from huse.train.data.batches import TrainingRows

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Tower(nn.Module):
    """The tower of one modality; its weights are copied from a Keras one."""

    def __init__(self, tower: keras.Model, root: bool, config: FitConfig) -> None:
        super().__init__()
        self.root, self.config = root, config
        mean, deviation, *others = [torch.from_numpy(w.copy()) for w in tower.get_weights() if w.dtype == np.float32]
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        weights = [w for w in others if w.dim() == 2]
        biases = [w for w in others if w.dim() == 1]
        self.hidden, self.out, self.linear = (nn.Linear(*w.shape, bias=w is not weights[2]) for w in weights)
        with torch.no_grad():
            for layer, weight in zip((self.hidden, self.out, self.linear), weights, strict=True):
                layer.weight.copy_(weight.T)
            for layer, bias in zip((self.hidden, self.out), biases, strict=True):
                layer.bias.copy_(bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I) features to (B, D)."""
        c, on = self.config, self.training
        x = torch.sign(x) * torch.sqrt(torch.abs(x)) if self.root else x
        x = functional.dropout((x - self.mean) / self.deviation, c.input_dropout, on)
        hidden = functional.dropout(functional.relu(self.hidden(x)), c.dropout, on)
        return self.out(hidden) + self.linear(x)


class Huse(nn.Module):
    """Both towers, the shared head and all losses of the default preset."""

    def __init__(self, network: keras.Model, graph: Any, config: FitConfig, bfloat16: bool) -> None:
        super().__init__()
        self.config, self.bfloat16 = config, bfloat16
        self.towers = nn.ModuleList(Tower(network.get_layer(f"{m}_tower"), m == "image", config) for m in MODALITIES)
        head = network.get_layer("head")
        bias, log_scale, directions = (
            torch.from_numpy(np.array(w)) for w in (head.bias, head.log_scale, head.directions)
        )
        self.bias, self.log_scale = map(nn.Parameter, (bias, log_scale))
        self.register_buffer("directions", functional.normalize(directions))
        self.register_buffer("graph", torch.from_numpy(np.array(graph, np.float32)))

    def forward(self, image: Tensor, text: Tensor, labels: Tensor) -> Tensor:
        """The loss of B rows."""
        with self._products():
            outputs = [tower(x) for tower, x in zip(self.towers, (image, text), strict=True)]
        embedding, logits = self._head(torch.cat(outputs).float())
        return self._losses(embedding, logits, labels)

    def _products(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.bfloat16)
        return context

    def _head(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        unit = functional.normalize(outputs)
        return unit, torch.exp(self.log_scale) * unit @ self.directions.T + self.bias

    def _losses(self, e: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """Eq. 5 and the contrastive loss, from one matrix of pooled similarities."""
        c, both = self.config, labels.repeat(2)
        similarity = e @ e.T
        distance, semantic = 1 - similarity, self.graph[both][:, both]
        kept = (semantic < c.zeta) & (distance < c.zeta)
        graph = (kept * (distance - semantic) ** 2 + (semantic >= c.zeta) * torch.relu(c.zeta - distance) ** 2).mean()
        own = torch.eye(len(both), dtype=torch.bool, device=e.device)
        log_probability = functional.log_softmax((similarity / c.temperature).masked_fill(own, -1e9), dim=1)
        positive = (both[:, None] == both[None, :]) & ~own
        count = positive.sum(1)
        pulled = -(positive * log_probability).sum(1) / count.clamp(min=1)
        contrastive = pulled.sum() / (count > 0).sum()
        image, text = e.chunk(2)
        gap = (1 - (image * text).sum(1)).mean()
        classes = functional.cross_entropy(logits, both)
        return c.alpha * classes + c.beta * graph + c.gamma * gap + c.delta * contrastive


def loss_without_dropout(model: Huse, rows: TrainingRows, batch: Any) -> float:
    """The loss of a batch before any step."""
    model.eval()
    with torch.no_grad():
        loss = float(model(*_on_device(rows, batch)))
    model.train()
    return loss


def make_steps(model: Huse, rows: TrainingRows, compiled: bool) -> Callable[[Iterable[Any]], None]:
    """A function that takes an AdamW step on each of some batches (of row numbers)."""
    model.to(DEVICE).train()
    loss_of = torch.compile(model) if compiled else model
    c = model.config
    optimizer = torch.optim.AdamW(model.parameters(), c.learning_rate, weight_decay=c.weight_decay, fused=True)

    def steps(batches: Iterable[Any]) -> None:
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(*_on_device(rows, batch))
            loss.backward()
            optimizer.step()
        float(loss.detach())

    return steps


def _on_device(rows: TrainingRows, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
    image, text = (torch.from_numpy(side.vectors[batch]) for _, side in rows.modalities.items())
    return image.to(DEVICE), text.to(DEVICE), torch.from_numpy(rows.labels[batch].astype(np.int64)).to(DEVICE)
