"""Every hyperparameter of a fit, in one frozen place, and the presets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from numbers import Integral
from typing import Any

from huse.features.errors import FitError
from huse.features.options import option, require_allowed
from huse.train.objectives.registry import OBJECTIVES

MARGINS = ("paper", "push")
LOGITS = ("dense", "cosine")
OPTIMIZERS = ("adamw", "rmsprop")
MEMORIES = ("auto", "resident", "streamed")
PRECISIONS = ("auto", "float32", "bfloat16")
BALANCES = ("none", "sampling", "weights")


@dataclass(frozen=True)
class FitConfig:
    """Hyperparameters; the defaults are the preset `default`, chosen by measurement (docs/method.md).

    Each field is an option of `huse fit`, and its metadata has the option's help and choices.

    Raises:
        FitError: a value is out of its range.
    """

    preset: str = "default"
    objective: str = option("huse", "Losses to train with, see docs/method.md.", choices=tuple(OBJECTIVES))
    dimension: int = option(512, "Length D of the embeddings.")
    nested: tuple[int, ...] = option(
        (),
        "Train their first N dimensions to be embeddings too, for dimension (--dimension) of huse embed.",
        shown="none",
    )
    image_layers: int = option(1, "Hidden layers of the image tower.")
    text_layers: int = option(1, "Hidden layers of the text tower.")
    hidden_units: int = option(1024, "Width of the hidden layers.")
    shortcut: bool = option(True, "Add a linear map of the features to what the hidden layers give; not in the paper.")
    dropout: float = option(0.5, "Rate after every hidden layer.")
    input_dropout: float = option(0.2, "Rate on the features.")
    standardize: bool = option(
        True, "Bring every feature to mean 0 and variance 1 over the training rows, sparse ones less."
    )
    square_root: bool = option(True, "Take the signed square root of image features first; it evens out ReLU outputs.")
    class_names: bool = option(True, "Train on the class names too, as texts of their classes; not in the paper.")
    logits: str = option(
        "cosine", "Dense as in eq. 6, or unit class weights with a learned temperature.", choices=LOGITS
    )
    blend: float = option(
        0.7, "Share of the class probabilities in the embedding, where a classifier is trained; 0 as in the paper."
    )
    alpha: float = option(1.0, "Weight of the classification loss (eq. 8).")
    beta: float = option(1.0, "Weight of the semantic graph loss (eq. 9-11), or of a projection onto class names.")
    gamma: float = option(0.5, "Weight of the cross-modal gap loss (eq. 12).")
    delta: float = option(0.5, "Weight of the supervised contrastive loss; 0 as in the paper.")
    temperature: float = option(0.2, "Temperature of both contrastive losses.")
    pair_weight: float = option(
        0.3, "Weight of the contrastive loss of image-text pairs without a label; 0 leaves such rows out."
    )
    zeta: float = option(0.7, "Margin of the semantic graph loss.")
    margin: str = option("push", "Eq. 10 as printed, or also pushing far classes beyond zeta.", choices=MARGINS)
    hinge: float = option(0.2, "Margin of the triplet and ranking losses of other objectives.")
    optimizer: str = option("adamw", "AdamW with cosine decay, or RMSprop at a constant rate.", choices=OPTIMIZERS)
    learning_rate: float = option(1e-3, "Rate at the start.")
    momentum: float = option(0.9, "Momentum of RMSprop.")
    weight_decay: float = option(0.01, "Weight decay of AdamW.")
    batch_size: int = option(512, "Rows a step, over all GPUs together.")
    balance: str = option("none", "Draw or weigh every class equally, however rare it is.", choices=BALANCES)
    epochs: int = option(100, "Passes over the training rows, unless steps are given.")
    steps: int = option(0, "Training steps, exactly, and at most as many again for a refit; 0 counts in epochs.")
    patience: int = option(
        30, "Epochs without a better validation score before stopping, none after a perfect one; 0 never stops."
    )
    val_fraction: float = option(0.15, "Share of training rows held out when the store has no val split.")
    refit: bool = option(True, "Train once more with the held out rows, for the epochs found best.")
    precision: str = option(
        "auto",
        "Type of the towers' matrix products in training; auto is bfloat16 where that is faster.",
        choices=PRECISIONS,
    )
    seed: int = option(0, "Seed of weights, dropout, order and held out rows.")
    memory: str = option(
        "auto", "Features on the device, streamed from shards, or as the budget allows.", choices=MEMORIES
    )
    memory_budget: float = option(0.0, "GiB of memory for features; 0 is half of what the machine has.")

    def __post_init__(self) -> None:
        require_allowed(self, FitError)
        object.__setattr__(self, "nested", self._lengths())
        values = vars(self)
        for name, value in values.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise FitError(f"{name} is {value}; it must be a finite number")
        for name in ("dropout", "input_dropout", "val_fraction", "blend", "momentum"):
            if not 0 <= values[name] < 1:
                raise FitError(f"{name} is {values[name]}; it must be at least 0 and below 1")
        for name in (
            "dimension",
            "hidden_units",
            "batch_size",
            "epochs",
            "learning_rate",
            "temperature",
        ):
            if values[name] <= 0:
                raise FitError(f"{name} is {values[name]}; it must be above 0")
        at_least_0 = ("image_layers", "text_layers", "steps", "patience", "memory_budget", "weight_decay", "seed")
        for name in (*at_least_0, "pair_weight", "alpha", "beta", "gamma", "delta", "zeta", "hinge"):
            if values[name] < 0:
                raise FitError(f"{name} is {values[name]}; it must not be negative")
        if self.seed >= 2**63:
            raise FitError(f"seed is {self.seed}; it must be below 2 to the 63rd")

    def _lengths(self) -> tuple[int, ...]:
        """`nested` as a tuple of Python's numbers, where JSON has a list, and searches hand in NumPy's."""
        given: Any = self.nested
        found: tuple[Any, ...] = (given,) if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
        allowed = all(isinstance(n, Integral) and 1 <= int(n) < self.dimension for n in found)
        if not allowed or list(found) != sorted(set(found)):
            listed = ", ".join(map(str, found))
            raise FitError(f"nested is {listed}; it must be whole numbers, ascending, below dimension={self.dimension}")
        return tuple(map(int, found))

    @property
    def on_pairs(self) -> bool:
        """Whether image-text pairs without a label are trained on."""
        return OBJECTIVES[self.objective].unlabeled and self.pair_weight > 0

    def to_dict(self) -> dict[str, Any]:
        """The values, JSON-ready."""
        return {**asdict(self), "nested": list(self.nested)}


PRESETS = {
    "default": FitConfig(),
    "paper": FitConfig(
        preset="paper",
        image_layers=5,
        text_layers=2,
        hidden_units=512,
        shortcut=False,
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
        pair_weight=0.0,
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
