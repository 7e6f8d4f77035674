"""The saved model: a folder with the network, its configuration, classes and figures. No pickle anywhere."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from huse.features.encoder_spec import EncoderSpec, digest_arrays, require_same
from huse.features.errors import FitError, ModelError
from huse.features.store import ENCODER_STATE_FILE, Store, StoreInfo, read_encoder_state
from huse.train.config import FitConfig
from huse.train.forward import Forward, make_forward
from huse.train.model_card import model_card

MODEL_VERSION = 1


@dataclass
class TrainedModel:
    """Everything that a model folder holds.

    Attributes:
        network: the towers, see `build_towers`.
        config: the hyperparameters they were trained with.
        image: spec of the encoder whose picture vectors they take, or None.
        text: spec of the encoder whose text vectors they take, or None.
        classes: K label paths, in the order of the logits.
        graph: (K, K) semantic graph.
        fusion_weight: share of the picture in the fused probability, chosen on validation.
        metrics: validation figures.
        history: one entry an epoch, for history.csv.
        text_state: what the text encoder has learned, if it is one that learns.
    """

    network: keras.Model
    config: FitConfig
    image: EncoderSpec | None
    text: EncoderSpec | None
    classes: list[str]
    graph: NDArray[np.float32]
    fusion_weight: float
    metrics: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    text_state: Any = None

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 of the weights; embeddings carry it, so that those of two models are never mixed."""
        return digest_arrays(self.network.get_weights())

    @cached_property
    def forward(self) -> Forward:
        """The towers as a function over arrays."""
        return make_forward(self.network)

    def embedding_spec(self, modality: str) -> EncoderSpec | None:
        """The spec of the embeddings that this model makes of a modality."""
        source: EncoderSpec | None = getattr(self, modality)
        if source is None:
            return None
        made_of = f"towers over {source.name} {source.fingerprint}"
        return EncoderSpec("huse", modality, self.config.dimension, made_of, self.fingerprint)

    def require_features(self, info: StoreInfo, where: str) -> None:
        """Refuses vectors of other encoders than the model was trained on.

        A store may lack a modality that the model knows.

        Raises:
            FingerprintError: an encoder differs; the message names both.
        """
        for modality in ("image", "text"):
            found: EncoderSpec | None = getattr(info, modality)
            if found is not None:
                require_same(getattr(self, modality), found, f"{modality}: the model and {where}")

    def save(self, folder: Path, overwrite: bool = False) -> None:
        """Writes the folder so that it is there whole or not at all.

        Raises:
            FitError: the folder exists and is not to be overwritten, or is not a model.
        """
        require_free(folder, overwrite)
        temporary = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        self.network.save(temporary / "model.keras")
        _write_json(temporary / "config.json", self._config())
        _write_json(temporary / "classes.json", self.classes)
        _write_json(temporary / "metrics.json", self.metrics)
        if self.text_state is not None:
            _write_json(temporary / ENCODER_STATE_FILE, self.text_state)
        np.save(temporary / "semantic_graph.npy", self.graph, allow_pickle=False)
        _write_history(temporary / "history.csv", self.history)
        (temporary / "README.md").write_text(self.card(folder.name), encoding="utf-8")
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.replace(old)
        temporary.replace(folder)
        shutil.rmtree(old, ignore_errors=True)

    def card(self, name: str, license_id: str | None = None) -> str:
        """The text of the model card, see `model_card`."""
        return model_card(self._config(), self.metrics, self.classes, name, license_id)

    def _config(self) -> dict[str, Any]:
        specs = {m: getattr(self, m) for m in ("image", "text")}
        return {
            "format": "huse-model",
            "version": MODEL_VERSION,
            "fit": self.config.to_dict(),
            "fusion_weight": self.fusion_weight,
            "fingerprint": self.fingerprint,
            **{m: spec and {**spec.to_dict(), "fingerprint": spec.fingerprint} for m, spec in specs.items()},
        }


def require_free(folder: Path, overwrite: bool) -> None:
    """Refuses to write a model over something that is there.

    Raises:
        FitError: the folder exists and `overwrite` is off, or it is not a model.
    """
    if not folder.exists():
        return
    if not (folder / "config.json").exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FitError(f"{folder}: exists and is not a huse model; name a new folder")
    if not overwrite and any(folder.iterdir()):
        raise FitError(f"{folder}: a model is there already; name a new folder or add --overwrite")


def load_model(folder: str | Path) -> TrainedModel:
    """Loads a model folder.

    Raises:
        ModelError: not a model folder, of another version, or damaged.
    """
    folder = Path(folder)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config.get("format") != "huse-model" or config.get("version") != MODEL_VERSION:
            raise ModelError(f"{folder}: config.json is not of model version {MODEL_VERSION}")
        for modality in ("image", "text"):
            if config[modality]:
                config[modality].pop("fingerprint")
        fit = FitConfig(**config["fit"])
        model = TrainedModel(
            network=_load_network(folder / "model.keras"),
            config=fit,
            image=EncoderSpec.from_dict(config["image"]),
            text=EncoderSpec.from_dict(config["text"]),
            classes=json.loads((folder / "classes.json").read_text(encoding="utf-8")),
            graph=np.load(folder / "semantic_graph.npy", allow_pickle=False),
            fusion_weight=config["fusion_weight"],
            metrics=json.loads((folder / "metrics.json").read_text(encoding="utf-8")),
            text_state=read_encoder_state(folder),
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(f"{folder}: no {Path(error.filename).name} there; make a model with huse fit") from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError, OSError, EOFError) as error:
        raise ModelError(f"{folder}: damaged or not a huse model ({_first_line(error)}); fit it again") from error
    if model.fingerprint != config["fingerprint"]:
        raise ModelError(f"{folder}: model.keras is not the one that config.json names; fit it again")
    return model


def check_store(model: TrainedModel, store: Store) -> None:
    """Refuses a store of other encoders than the model's; see `TrainedModel.require_features`."""
    model.require_features(store.info, f"store {store.path}")


def _load_network(path: Path) -> keras.Model:
    from huse.train import towers  # noqa: F401 - registers the layers that the file names

    if not path.exists():
        raise FileNotFoundError(2, "no such file", str(path))
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for entry in history for name in entry)))
        writer.writeheader()
        writer.writerows(history)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
