"""The saved model: a folder with the network, its configuration, classes and figures. No pickle anywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from huse.features.companions import read_encoder_state, write_encoder_state
from huse.features.encoder_spec import EncoderSpec, digest_arrays, require_same
from huse.features.errors import FitError, ModelError, StoreError
from huse.features.files.atomic import is_own_trace, replacing_folder
from huse.features.files.cache import local_copy
from huse.features.files.folders import require_folder_name, require_place
from huse.features.files.place import reopen
from huse.features.files.put import is_half_put
from huse.features.info import StoreInfo
from huse.features.modality import Pair
from huse.features.settings import keep_settings
from huse.features.store import Store
from huse.train.artifact.hub import model_folder
from huse.train.artifact.model_card import model_card
from huse.train.artifact.model_files import (
    FILES,
    FORMAT,
    MODEL_VERSION,
    first_line,
    is_model,
    read_classes,
    read_config,
    read_history,
    write_config,
    write_history,
    write_json,
)
from huse.train.config import FitConfig
from huse.train.network.forward import LOGITS, Forward, make_forward
from huse.train.network.heads import CertaintyHead
from huse.train.objectives.registry import OBJECTIVES

ITS_OWN = "huse embed MODEL MANIFEST OUT makes OUT/features by the model's own"
"""How to come by features that a model takes; extracting again would let an encoder that learns do so anew."""


@dataclass
class TrainedModel:
    """Everything that a model folder holds.

    Attributes:
        network: the towers, see `build_towers`.
        config: the hyperparameters they were trained with.
        image: spec of the encoder whose image vectors they take, or None.
        text: spec of the encoder whose text vectors they take, or None.
        classes: K label paths, in the order of the logits.
        graph: (K, K) semantic graph.
        fusion_weight: share of the image in the fused probability, chosen on validation.
        metrics: validation figures.
        history: one entry an epoch, for history.csv.
        text_state: what the text encoder has learned, if it is one that learns.
        folder: where it was loaded from, which nothing else is written into; None for a new model.
        settings: what the folder is to keep as its settings.toml; empty for none.
    """

    network: keras.Model
    config: FitConfig
    image: EncoderSpec | None
    text: EncoderSpec | None
    classes: list[str]
    graph: NDArray[np.float32]
    fusion_weight: float
    metrics: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    text_state: Any = None
    folder: Path | None = None
    settings: str = ""

    @property
    def specs(self) -> Pair[EncoderSpec | None]:
        """The specs of both encoders."""
        return Pair(image=self.image, text=self.text)

    @property
    def sources(self) -> list[Path]:
        """What an output of this model must not lie in: its folder, if it has one."""
        return [self.folder] if self.folder else []

    @property
    def classifies(self) -> bool:
        """Whether its logits say something: it has classes, and its objective trains a classifier."""
        return bool(self.classes) and OBJECTIVES[self.config.objective].classifier

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 of the weights; embeddings carry it, so that those of two models are never mixed."""
        return digest_arrays(self.network.get_weights())

    @cached_property
    def forward(self) -> Forward:
        """The towers as a function over arrays."""
        return make_forward(self.network)

    def __getstate__(self) -> dict[str, Any]:
        """All but the compiled function, which another process makes anew."""
        return {name: value for name, value in vars(self).items() if name != "forward"}

    def embedding_spec(self, modality: str, dimension: int | None = None) -> EncoderSpec | None:
        """The spec of the embeddings that this model makes of a modality, or of so many of their first dimensions."""
        source = self.specs.of(modality)
        if source is None:
            return None
        made_of = f"towers over {source.name} {source.fingerprint}{self._beside_weights()}"
        return EncoderSpec("huse", modality, dimension or self.config.dimension, made_of, self.fingerprint)

    def _beside_weights(self) -> str:
        """What decides about embeddings and their predictions and is no weight; nothing in models of earlier heads."""
        heads = [layer for layer in self.network.layers if isinstance(layer, CertaintyHead)]
        return f", blend {heads[0].blend:g}, image weight {self.fusion_weight:g}" if heads else ""

    def require_features(self, info: StoreInfo, where: str) -> None:
        """Refuses vectors of other encoders than the model was trained on.

        A store may lack a modality that the model knows.

        Raises:
            FingerprintError: an encoder differs; the message names both.
        """
        for modality, found in info.specs.given().items():
            require_same(self.specs.of(modality), found, f"{modality}: the model and {where}", ITS_OWN)

    def save(self, folder: Path, overwrite: bool = False) -> None:
        """Writes the folder so that it is there whole or not at all; one that is replaced stays until then.

        Raises:
            FitError: the folder exists and is not to be overwritten, or is not a model.
        """
        require_free(folder, overwrite)
        with replacing_folder(folder, overwrite) as new:
            self.network.save(new / "model.keras")
            write_json(new / "classes.json", self.classes)
            write_json(new / "metrics.json", self.metrics)
            if self.text_state is not None:
                write_encoder_state(new, self.text_state)
            np.save(new / "semantic_graph.npy", self.graph, allow_pickle=False)
            write_history(new / "history.csv", self.history)
            if self.settings:
                keep_settings(new, self.settings)
            write_config(new, self._config())
            (new / "README.md").write_text(self.card(folder.name), encoding="utf-8")

    def card(self, name: str, license_id: str | None = None, place: str | None = None) -> str:
        """The text of the model card, see `model_card`."""
        return model_card(self._config(), self.metrics, self.classes, name, license_id, place)

    def _config(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": MODEL_VERSION,
            "fit": self.config.to_dict(),
            "fusion_weight": self.fusion_weight,
            "fingerprint": self.fingerprint,
            **{m: spec and {**spec.to_dict(), "fingerprint": spec.fingerprint} for m, spec in self.specs.items()},
        }


def require_free(folder: Path, overwrite: bool) -> None:
    """Refuses to write a model over something that is there, or where nothing can be written.

    Raises:
        FitError: the folder exists and `overwrite` is off, it is not a model, or holds something else too; or it is
            of the Hugging Face hub.
    """
    if str(folder).startswith("hf://"):
        raise FitError(f"{folder}: is on the hub; name a folder, which push (--push) of huse export card brings there")
    require_folder_name(folder, FitError)
    require_place(folder, FitError)
    there = sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
    if all(map(is_own_trace, there)) or is_half_put(folder):
        return
    if not is_model(folder):
        raise FitError(f"{folder}: exists and is not a huse model; name a new folder")
    if not overwrite:
        raise FitError(f"{folder}: a model is there already; name a new folder or add overwrite=True (--overwrite)")
    foreign = [name for name in there if name not in FILES and not is_own_trace(name)]
    if foreign:
        raise FitError(f"{folder}: holds {foreign[0]!r} too, which is no part of a model; move it away")


def load_model(folder: str | Path) -> TrainedModel:
    """Loads a model, once each of its files is known to be the one that config.json names; see `model_folder`.

    Raises:
        ModelError: not a model folder, of another version, or damaged.
        HubError: it is of the hub, and cannot be had.
    """
    folder = model_folder(folder)
    reopen(folder)
    config = read_config(folder)
    classes, graph = read_classes(folder)
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        history = read_history(folder / "history.csv")
        text_state = read_encoder_state(folder)
    except (OSError, ValueError, StoreError) as error:
        raise ModelError(f"{folder}: damaged ({first_line(error)}); fit it again") from error
    model = TrainedModel(
        network=_load_network(folder / "model.keras"),
        config=config.fit,
        image=config.image,
        text=config.text,
        classes=classes,
        graph=graph,
        fusion_weight=config.fusion_weight,
        metrics=metrics,
        history=history,
        text_state=text_state,
        folder=folder,
    )
    if model.fingerprint != config.fingerprint:
        raise ModelError(f"{folder}: model.keras is not the one that config.json names; fit it again")
    _require_logits(model, folder)
    return model


def _require_logits(model: TrainedModel, folder: Path) -> None:
    outputs = model.network.output if isinstance(model.network.output, dict) else {}
    for modality, spec in model.specs.items():
        logits = outputs.get(LOGITS.of(modality))
        if (logits is None) != (spec is None):
            raise ModelError(f"{folder}: model.keras and config.json differ in what modalities there are; fit it again")
        if logits is not None and logits.shape[-1] != len(model.classes):
            raise ModelError(
                f"{folder}: {len(model.classes)} classes, model.keras has {logits.shape[-1]}; fit it again"
            )


def check_store(model: TrainedModel, store: Store) -> None:
    """Refuses a store of other encoders than the model's; see `TrainedModel.require_features`."""
    model.require_features(store.info, f"store {store.path}")


def _load_network(path: Path) -> keras.Model:
    from huse.train.network import towers  # noqa: F401 - registers the layers that the file names

    try:
        return keras.saving.load_model(local_copy(path), compile=False, safe_mode=True)
    except Exception as error:
        raise ModelError(f"{path}: cannot be loaded ({first_line(error)}); fit the model again") from error
