"""`bert:PREPROCESSOR,ENCODER`: the paper's text features, two SavedModels with the TF Hub signature of BERT."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders import hub_model
from huse.extract.encoders.replicas import as_encoder_error
from huse.extract.texts import PREPROCESSING
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import EncoderError
from huse.features.extras import require

LAYERS = 4
"""The last four layers are concatenated (paper 4.1.1)."""

TEXTS_A_BATCH = 32


class BertEncoder:
    """Last four layers concatenated, averaged over the tokens that the mask has.

    The preprocessor turns strings into a dictionary with `input_mask`, the encoder that dictionary into one with
    `encoder_outputs`, a list of (n, tokens, hidden).

    Raises:
        EncoderError: not two SavedModels.
        ExtraError: tensorflow-text, whose operations preprocessors are made of, is not installed.
    """

    def __init__(self, handles: str) -> None:
        self.handles = pair(handles)
        self.folders = [hub_model.resolve(handle) for handle in self.handles]
        require("tensorflow_text", "bert", f"bert:{handles}")

    @cached_property
    def _models(self) -> list[Any]:
        return [hub_model.load(folder) for folder in self.folders]

    @cached_property
    def files_digest(self) -> str:
        """SHA-256 over the files of both models; taking it runs nothing."""
        digests = " ".join(hub_model.digest(folder) for folder in self.folders)
        return hashlib.sha256(digests.encode()).hexdigest()

    @property
    def _dimension(self) -> int:
        """What the encoder's graph tells of the length of its vectors; 0 for nothing."""
        shapes = hub_model.output_shapes(hub_model.read_graph(self.folders[1]))
        layers = [shape[-1] for name, shape in shapes.items() if name.startswith("encoder_outputs/") and shape]
        return sum(layers[-LAYERS:]) if len(layers) >= LAYERS and min(layers) > 0 else 0

    @cached_property
    def spec(self) -> EncoderSpec:
        """The spec; its digest covers both models' files, their handles are not part of the fingerprint.

        The models are run only if the encoder's graph does not tell the length of its vectors.
        """
        named = (hub_model.known_as(h, f) for h, f in zip(self.handles, self.folders, strict=True))
        return EncoderSpec(
            name="bert",
            modality="text",
            dimension=self._dimension or self.encode(["a"]).shape[1],
            preprocessing=f"{PREPROCESSING}; last {LAYERS} layers concatenated, mean over tokens",
            weights=self.files_digest,
            source=f"bert:{','.join(named)}",
        )

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts to (n, 4 x hidden size) vectors."""
        if not texts:
            return np.zeros((0, self.spec.dimension), np.float32)
        return np.concatenate(
            [self._batch(texts[start : start + TEXTS_A_BATCH]) for start in range(0, len(texts), TEXTS_A_BATCH)]
        )

    def _batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import tensorflow as tf

        preprocess, encode = self._models
        with as_encoder_error(f"bert:{','.join(self.handles)}"):
            inputs = preprocess(tf.constant(list(texts)))
            result = encode(inputs)
        layers = result.get("encoder_outputs", []) if isinstance(result, dict) else []
        if len(layers) < LAYERS:
            raise EncoderError(f"{self.folders[1]}: {len(layers)} encoder_outputs, {LAYERS} layers are needed")
        tokens = tf.concat(layers[-LAYERS:], axis=-1)
        mask = tf.cast(inputs["input_mask"], tf.float32)[..., None]
        return np.asarray(tf.reduce_sum(tokens * mask, axis=1) / tf.reduce_sum(mask, axis=1), np.float32)


def pair(handles: str) -> tuple[str, str]:
    """The two handles that a comma joins; of several commas the one between two models.

    Raises:
        EncoderError: there are not two.
    """
    parts = handles.split(",")
    pairs = [(",".join(parts[:i]), ",".join(parts[i:])) for i in range(1, len(parts))]
    if len(pairs) > 1:
        pairs = [two for two in pairs if all(map(hub_model.is_there, two))]
    if len(pairs) != 1 or not all(pairs[0]):
        raise EncoderError(f"bert:{handles}: two SavedModels are needed; write bert:PREPROCESSOR,ENCODER")
    return pairs[0]
