"""The objectives by name: where each is defined, and what it needs and trains. Loads no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

    from huse.train.objectives.batch import Batch, Settings

    Losses = dict[str, tf.Tensor]
    Objective = Callable[[Batch, Settings], Losses]


@dataclass(frozen=True)
class Traits:
    """What is known of an objective without training it.

    Attributes:
        module: that defines its ``losses``, below `huse.train.objectives`; empty of a method that trains no towers.
        onto_class_names: its space is that of the class-name vectors, so the dimension is theirs.
        across_modalities: it is made of image-text pairs alone, so both modalities must be there.
        separate_heads: it has one classifier a modality.
        classifier: it trains a classifier; else its accuracies say nothing.
        unlabeled: it trains on image-text pairs without a label too.
        one_space: it ties the modalities; else its cross-modal retrieval says nothing.
    """

    module: str = ""
    onto_class_names: bool = False
    across_modalities: bool = False
    separate_heads: bool = False
    classifier: bool = True
    unlabeled: bool = False
    one_space: bool = True

    @property
    def blends(self) -> bool:
        """Whether class probabilities can be part of its embeddings: it trains a classifier, and its space is free."""
        return self.classifier and not self.onto_class_names


OBJECTIVES = {
    "huse": Traits("huse", unlabeled=True),
    "huse-p": Traits("huse_p", onto_class_names=True),
    "separate": Traits("baselines.separate", separate_heads=True, one_space=False),
    "triplet": Traits("baselines.triplet", classifier=False),
    "cme": Traits("baselines.cme", across_modalities=True, separate_heads=True),
    "adamine": Traits("baselines.adamine", across_modalities=True, classifier=False),
    "infonce": Traits("baselines.infonce", across_modalities=True, classifier=False, unlabeled=True),
    "sigmoid": Traits("baselines.sigmoid", across_modalities=True, classifier=False, unlabeled=True),
    "supcon": Traits("baselines.supcon", classifier=False),
    "dscmr": Traits("baselines.dscmr", across_modalities=True),
    "sdml": Traits("baselines.sdml", classifier=False),
    "devise": Traits("baselines.devise", onto_class_names=True, classifier=False),
    "hie": Traits("baselines.hie", onto_class_names=True),
}


def objective_of(name: str) -> Objective:
    """The function that gives the losses of a batch by name; their sum is what training minimizes."""
    losses: Objective = import_module(f"huse.train.objectives.{OBJECTIVES[name].module}").losses
    return losses
