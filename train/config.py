"""Every hyperparameter of a fit, in one frozen place, and the presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from huse.features.errors import FitError

MARGINS = ("paper", "push")
LOGITS = ("dense", "cosine")
OPTIMIZERS = ("adamw", "rmsprop")
MEMORIES = ("auto", "resident", "streamed")
BALANCES = ("none", "sampling", "weights")
OBJECTIVES = ("huse", "huse-p", "separate", "triplet", "cme", "adamine", "devise", "hie")


@dataclass(frozen=True)
class FitConfig:
    """Hyperparameters; the defaults are the preset `default`, chosen by measurement (docs/method.md).

    Attributes:
        preset: name of the preset the values started from, for the record.
        objective: ``huse``, or one it is compared with, see `objectives.py`.
        dimension: D, length of the embeddings.
        image_layers: number of hidden layers of the image tower.
        text_layers: number of hidden layers of the text tower.
        hidden_units: width of the hidden layers.
        dropout: rate after every hidden layer.
        input_dropout: rate on the features.
        standardize: bring every input column to mean 0 and variance 1 over the training rows.
        class_names: train on the vectors of the class names too, as texts of their classes; not in the paper.
        square_root: replace image features by their signed square root first; it evens out ReLU activations.
        logits: ``dense`` as in eq. 6, or ``cosine``: normalized class weights with a learned temperature.
        blend: share of the posterior-weighted class prototypes in the embedding; 0 as in the paper.
        alpha: weight of the classification loss (eq. 8).
        beta: weight of the semantic graph loss (eq. 9-11).
        gamma: weight of the cross-modal gap loss (eq. 12).
        delta: weight of the supervised contrastive loss over both modalities; 0 as in the paper.
        temperature: of the contrastive loss.
        zeta: margin of the graph loss.
        hinge: margin of the triplet and ranking losses of other objectives.
        margin: ``paper`` keeps eq. 10 as printed, ``push`` also drives pairs of far classes beyond zeta.
        optimizer: ``adamw`` with cosine decay, or ``rmsprop`` at a constant rate.
        learning_rate: at the start.
        momentum: of RMSprop.
        weight_decay: of AdamW.
        batch_size: rows a step.
        balance: against rare classes being overlooked: ``sampling`` draws every class equally often, ``weights`` counts
            every class equally in the classification loss.
        epochs: passes over the training rows, unless `steps` is set.
        steps: training steps; 0 counts in epochs.
        patience: epochs without a better validation score after which training stops; 0 never stops early.
        val_fraction: share of the training rows held out for validation when the store has no val split.
        refit: after that, train once more on all training rows for the epochs found best.
        seed: of initial weights, dropout, shuffling and the held out rows.
        memory: ``resident`` keeps the features on the device, ``streamed`` reads them from their shards window by
            window, ``auto`` is resident when they fit in the budget.
        memory_budget: GiB of memory for features; 0 is half of what the machine has.
    """

    preset: str = "default"
    objective: str = "huse"
    dimension: int = 512
    image_layers: int = 1
    text_layers: int = 1
    hidden_units: int = 1024
    dropout: float = 0.5
    input_dropout: float = 0.2
    class_names: bool = True
    standardize: bool = True
    square_root: bool = True
    logits: str = "cosine"
    blend: float = 0.5
    alpha: float = 1.0
    beta: float = 1.0
    gamma: float = 0.5
    delta: float = 0.5
    temperature: float = 0.2
    zeta: float = 0.7
    hinge: float = 0.2
    margin: str = "push"
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.01
    batch_size: int = 512
    balance: str = "none"
    epochs: int = 60
    steps: int = 0
    patience: int = 15
    val_fraction: float = 0.15
    refit: bool = True
    seed: int = 0
    memory: str = "auto"
    memory_budget: float = 0.0

    def __post_init__(self) -> None:
        choices = {
            "margin": MARGINS,
            "logits": LOGITS,
            "optimizer": OPTIMIZERS,
            "objective": OBJECTIVES,
            "balance": BALANCES,
            "memory": MEMORIES,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise FitError(f"{name} is {getattr(self, name)!r}; use {', '.join(allowed[:-1])} or {allowed[-1]}")
        for name in ("dropout", "input_dropout", "val_fraction", "blend"):
            if not 0 <= getattr(self, name) < 1:
                raise FitError(f"{name} is {getattr(self, name)}; it must be at least 0 and below 1")
        for name in ("dimension", "hidden_units", "batch_size", "epochs", "learning_rate", "temperature"):
            if getattr(self, name) <= 0:
                raise FitError(f"{name} is {getattr(self, name)}; it must be above 0")

    def to_dict(self) -> dict[str, Any]:
        """The values, JSON-ready."""
        return asdict(self)


PRESETS = {
    "default": FitConfig(),
    "paper": FitConfig(
        preset="paper",
        image_layers=5,
        text_layers=2,
        hidden_units=512,
        dropout=0.15,
        input_dropout=0.0,
        class_names=False,
        standardize=False,
        square_root=False,
        logits="dense",
        blend=0.0,
        alpha=1.0,
        beta=1.0,
        gamma=1.0,
        delta=0.0,
        margin="paper",
        optimizer="rmsprop",
        learning_rate=1.6192e-5,
        momentum=0.9,
        weight_decay=0.0,
        batch_size=1024,
        steps=250_000,
        patience=0,
        refit=False,
    ),
}
"""`paper` is section 4.1.3 of the paper; its loss weights, zeta and D are unpublished and ours."""


def preset(name: str, **changes: Any) -> FitConfig:
    """The configuration of a preset with some values changed.

    Raises:
        FitError: no such preset, no such value, or a value out of its range.
    """
    if name not in PRESETS:
        raise FitError(f"no preset {name!r}; there is {', '.join(PRESETS)}")
    unknown = set(changes) - set(FitConfig.__dataclass_fields__)
    if unknown:
        raise FitError(f"no hyperparameter {', '.join(sorted(unknown))}")
    return replace(PRESETS[name], **changes)
