"""Vectors of tokens become one of their text, as sentence-transformers' 1_Pooling/config.json says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders.onnx.files import ModelFiles
from huse.features.errors import EncoderError

Vectors = NDArray[np.float32]
Mask = NDArray[np.int64]

PLAIN = ("Transformer", "Pooling", "Normalize")
"""Modules of sentence-transformers that need no weights beside the graph."""


def _first(vectors: Vectors, mask: Mask) -> Vectors:
    found: Vectors = vectors[np.arange(len(vectors)), mask.argmax(1)]
    return found


def _last(vectors: Vectors, mask: Mask) -> Vectors:
    found: Vectors = vectors[np.arange(len(vectors)), mask.shape[1] - 1 - mask[:, ::-1].argmax(1)]
    return found


def _most(vectors: Vectors, mask: Mask) -> Vectors:
    found: Vectors = np.where(mask[..., None] > 0, vectors, np.float32(-1e9)).max(1)
    return found


def _mean(vectors: Vectors, mask: Mask) -> Vectors:
    return _weighted(vectors, mask)


def _mean_by_root(vectors: Vectors, mask: Mask) -> Vectors:
    return np.asarray(_mean(vectors, mask) * np.sqrt(mask.sum(1, keepdims=True)), np.float32)


def _mean_by_position(vectors: Vectors, mask: Mask) -> Vectors:
    return _weighted(vectors, mask * mask.cumsum(1))


def _weighted(vectors: Vectors, weights: Mask) -> Vectors:
    values = weights.astype(np.float32)
    total = np.maximum(values.sum(1, keepdims=True), np.float32(1e-9))
    return np.asarray(np.einsum("ntd,nt->nd", vectors, values) / total, np.float32)


POOLINGS: Mapping[str, tuple[str, Callable[[Vectors, Mask], Vectors]]] = {
    "cls": ("pooling_mode_cls_token", _first),
    "max": ("pooling_mode_max_tokens", _most),
    "mean": ("pooling_mode_mean_tokens", _mean),
    "mean_sqrt_len_tokens": ("pooling_mode_mean_sqrt_len_tokens", _mean_by_root),
    "weightedmean": ("pooling_mode_weightedmean_tokens", _mean_by_position),
    "lasttoken": ("pooling_mode_lasttoken", _last),
}
"""By name: what turns each on in the settings, and a function of vectors (n, t, d) and mask (n, t); in the order in
which several stand one behind the other."""


@dataclass(frozen=True)
class Pooling:
    """How vectors of tokens become one.

    Attributes:
        names: of `POOLINGS`; the results of several stand one behind the other.
    """

    names: tuple[str, ...] = ("mean",)

    def __call__(self, vectors: Vectors, mask: Mask) -> Vectors:
        """Vectors of tokens (n, t, d), of which a mask (n, t) tells those of the text, to (n, D)."""
        return np.concatenate([POOLINGS[name][1](vectors, mask) for name in self.names], axis=1)


@dataclass(frozen=True)
class Modules:
    """What sentence-transformers does behind the network.

    Attributes:
        pooling: None where no settings tell.
        normalize: whether vectors get unit length.
        unknown: a module that is more than that, such as ``Dense``; empty for none.
    """

    pooling: Pooling | None
    normalize: bool
    unknown: str

    @classmethod
    def of(cls, files: ModelFiles) -> Modules:
        """By modules.json and 1_Pooling/config.json.

        Raises:
            EncoderError: they say what they cannot.
        """
        listed = files.json_value("modules.json")
        if listed is not None and not (isinstance(listed, list) and all(isinstance(one, dict) for one in listed)):
            raise EncoderError(f"{files.settings['modules.json']}: not a list of modules; download it again")
        kinds = [str(module.get("type")).rpartition(".")[2] for module in listed or ()]
        unknown = next((kind for kind in kinds if kind not in PLAIN), "")
        return cls(_pooling(files), "Normalize" in kinds, unknown)


def _pooling(files: ModelFiles) -> Pooling | None:
    told = files.json("1_Pooling/config.json")
    if not told:
        return None
    mode = told.get("pooling_mode", [name for name, (key, _) in POOLINGS.items() if told.get(key)])
    names = tuple(mode if isinstance(mode, list) else [mode])
    path = files.settings["1_Pooling/config.json"]
    if not names or not all(isinstance(name, str) and name in POOLINGS for name in names):
        raise EncoderError(f"{path}: names no pooling of {', '.join(POOLINGS)}; name one, onnx:FOLDER#OUTPUT:mean")
    if told.get("include_prompt") is False and files.json("config_sentence_transformers.json").get(
        "default_prompt_name"
    ):
        raise EncoderError(f"{path}: leaves the prompt out of the pooling, which is not known here; take another model")
    return Pooling(names)
