"""The methods of `huse compare`: which there are, what each needs, its default configuration and what is tuned."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from huse.features.columns import PRESENT
from huse.features.errors import FitError
from huse.features.store import Store
from huse.train.compare.anchors.registry import ANCHORS
from huse.train.config import PRESETS, FitConfig, preset
from huse.train.objectives.registry import OBJECTIVES, Traits

SPACES: dict[str, dict[str, tuple[Any, ...]]] = {
    "separate": {},
    "triplet": {"hinge": (0.1, 0.2, 0.4)},
    "cme": {"gamma": (0.3, 1.0, 3.0)},
    "adamine": {"hinge": (0.1, 0.2, 0.4)},
    "infonce": {"temperature": (0.05, 0.1, 0.2)},
    "sigmoid": {"temperature": (0.05, 0.1, 0.2)},
    "supcon": {"temperature": (0.1, 0.2, 0.3)},
    "dscmr": {"beta": (0.001, 0.1, 1.0), "gamma": (0.1, 0.3, 1.0)},
    "sdml": {},
    "devise": {"hinge": (0.1, 0.2, 0.4)},
    "hie": {"beta": (0.3, 1.0, 3.0)},
    "huse-p": {"beta": (0.3, 1.0, 3.0), "gamma": (0.0, 0.5, 1.0)},
    "huse-paper": {"beta": (0.3, 1.0, 3.0), "gamma": (0.0, 0.5, 1.0), "zeta": (0.5, 0.7)},
    "huse": {"blend": (0.5, 0.7, 0.9), "temperature": (0.1, 0.2, 0.3), "delta": (0.5, 1.0), "gamma": (0.0, 0.5)},
}
"""What a random search may change, besides learning rate and dropout."""

PUBLISHED: dict[str, dict[str, Any]] = {
    "infonce": {"temperature": 0.1},
    "sigmoid": {"temperature": 0.1},
    "dscmr": {"beta": 0.001, "gamma": 0.1, "logits": "dense"},
    "huse-paper": {"margin": PRESETS["paper"].margin},
}
"""What the first trial of a method takes from where it was published."""

METHODS = (*ANCHORS, *SPACES)
"""`huse-paper` has the losses as printed, with the default towers and optimizer; `huse` is the default preset."""


def traits_of(method: str) -> Traits:
    """What is known of a method; where it is no objective by itself, its objective is plain HUSE."""
    return ANCHORS[method].traits if method in ANCHORS else OBJECTIVES.get(method, OBJECTIVES["huse"])


def base_config(method: str, store: Store, changes: Mapping[str, Any]) -> FitConfig:
    """The default configuration of a method: all share towers, optimizer and budget, and differ in their losses."""
    own: dict[str, Any] = {}
    if method != "huse" and method not in ANCHORS:
        own = {"blend": 0.0, "delta": 0.0, "objective": method if method in OBJECTIVES else "huse"}
    own |= PUBLISHED.get(method, {})
    stored = store.read_classes()
    if traits_of(method).onto_class_names and stored is not None:
        own["dimension"] = stored.vectors.shape[1]
    return preset("default", **{**changes, **own})


def possible_methods(store: Store, methods: tuple[str, ...] | None) -> tuple[str, ...]:
    """The methods that a store has what they need for; those that were asked for by name must be among them.

    Raises:
        FitError: an unknown method, or one that was asked for and needs what the store does not have.
    """
    unknown = set(methods or ()) - set(METHODS)
    if unknown:
        raise FitError(f"no objective {', '.join(map(repr, sorted(unknown)))}; there is {', '.join(METHODS)}")
    lacks: dict[str, str] = {}
    if store.read_classes() is None:
        lacks |= {name: "vectors of the class names" for name in METHODS if traits_of(name).onto_class_names}
    if not (store.info.image and store.info.text):
        lacks |= {name: "images and texts" for name in METHODS if traits_of(name).across_modalities}
    elif _pairs(store) < 2:
        lacks |= {name: "2 training rows of image and text" for name in METHODS if traits_of(name).across_modalities}
    for name in methods or ():
        if name in lacks:
            raise FitError(
                f"objective {name} needs {lacks[name]}, {store.path} lacks them; leave it out (--objectives)"
            )
    if methods is None and lacks:
        left_out = ", ".join(f"{name} (needs {what})" for name, what in lacks.items())
        tqdm.write(f"left out: {left_out}", file=sys.stderr)
    return tuple(dict.fromkeys(methods or ())) or tuple(name for name in METHODS if name not in lacks)


def _pairs(store: Store) -> int:
    """How many rows that are not of split test have both an image and a text."""
    names = (*(name for _, name in PRESENT.items()), "split")
    shards = (store.columns(shard, names) for shard in store.ahead())
    return sum(int((own[PRESENT.image] & own[PRESENT.text] & (own["split"] != "test")).sum()) for own in shards)
