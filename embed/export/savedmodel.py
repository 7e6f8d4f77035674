"""`huse export savedmodel`: the towers, and encoders before them, as a TensorFlow SavedModel that needs no huse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from huse.embed.export.tensorflow_decoder import decode
from huse.embed.model import Model, load
from huse.extract.encoders.protocol import Framed, ImageEncoder, Traceable
from huse.features.columns import PRESENT
from huse.features.errors import ModelError
from huse.features.files.atomic import replacing_folder
from huse.features.files.folders import require_new
from huse.features.files.place import place
from huse.features.modality import MODALITIES
from huse.train.artifact.model_folder import TrainedModel
from huse.train.network.forward import EMBEDDING, LOGITS


def export_savedmodel(model: str | Path | Model, out: str | Path, with_encoders: bool = False) -> list[str]:
    """Writes a SavedModel.

    Its endpoints, each a function of the object that `tf.saved_model.load` gives:

    - ``embed_image_features`` and ``embed_text_features``: (n, Di) features to (n, D) unit vectors;
    - ``classify``: ``image``, ``text`` features and ``has_image``, ``has_text`` masks to ``probability`` (n, K), both
      modalities fused, ``label`` (n,) and ``labels`` (K,), where the model has classes;
    - with encoders, ``embed_images``: (n,) files' bytes to (n, D), and ``embed_texts``: (n,) strings to (n, D).

    Args:
        model: a model folder, or the loaded model.
        out: a new folder.
        with_encoders: take images and texts themselves, where TensorFlow runs the encoder; see `tensorflow_decoder`.

    Returns:
        The names of the endpoints.

    Raises:
        ModelError: `out` is there or lies in the model, or no encoder of the model runs in TensorFlow.
    """
    path = place(out)
    require_new(path, ModelError, *(model.trained.sources if isinstance(model, Model) else [model]))
    loaded = model if isinstance(model, Model) else load(model, precision="float32")
    archive = keras.export.ExportArchive()
    archive.track(loaded.trained.network)
    names = _add_towers(archive, loaded.trained)
    if with_encoders:
        names += _add_encoders(archive, loaded)
    with replacing_folder(path) as folder:
        archive.write_out(str(folder), verbose=False)
    return names


def _add_towers(archive: Any, trained: TrainedModel) -> list[str]:
    network, names = trained.network, []
    for modality in MODALITIES:
        if modality in network.input:
            shape = network.input[modality].shape
            names.append(f"embed_{modality}_features")
            archive.add_endpoint(names[-1], _tower(network, modality), [tf.TensorSpec(shape, tf.float32)])
    if not trained.classifies:
        return names
    labels = tf.constant(trained.classes)

    def classify(features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        logits = network({m: features[m] for m in network.input}, training=False)
        share = {m: tf.cast(features[PRESENT.of(m)], tf.float32) * _weight(trained, m) for m in network.input}
        total = tf.maximum(tf.add_n(list(share.values())), 1e-12)
        parts = [(share[m] / total)[:, None] * tf.nn.softmax(logits[LOGITS.of(m)]) for m in network.input]
        probability = tf.add_n(parts)
        return {
            "probability": probability,
            "label": tf.gather(labels, tf.argmax(probability, axis=1)),
            "labels": labels,
        }

    specs = {m: tf.TensorSpec(tensor.shape, tf.float32, name=m) for m, tensor in network.input.items()}
    specs |= {name: tf.TensorSpec((None,), tf.bool, name=name) for m, name in PRESENT.items() if m in network.input}
    archive.add_endpoint("classify", classify, [specs])
    return [*names, "classify"]


def _weight(trained: TrainedModel, modality: str) -> float:
    """Share of a modality; never 0, as a row that has it alone is classified by it alone."""
    share = trained.fusion_weight if modality == "image" else 1.0 - trained.fusion_weight
    return max(share, 1e-9)


def _tower(network: keras.Model, modality: str) -> Callable[[tf.Tensor], tf.Tensor]:
    tower = keras.Model(network.input[modality], network.output[EMBEDDING.of(modality)])
    return lambda features: tower(features, training=False)


def _add_encoders(archive: Any, model: Model) -> list[str]:
    names = []
    for modality, encoder in model.encoders().items():
        if not isinstance(encoder, Traceable) or isinstance(encoder, Framed):  # TensorFlow's decoder takes whole images
            continue
        encode, resources = encoder.graph()
        for resource in resources:
            archive.track(resource)
        tower = _tower(model.trained.network, modality)
        size = encoder.input_size if isinstance(encoder, ImageEncoder) else None
        endpoint = _of_bytes(encode, tower, size) if size else _chain(encode, tower)
        names.append(f"embed_{modality}s")
        archive.add_endpoint(names[-1], endpoint, [tf.TensorSpec((None,), tf.string)])
    if not names:
        known = ", ".join(encoder.spec.name for encoder in model.encoders().values())
        raise ModelError(f"no encoder of this model runs in TensorFlow ({known}); export without encoders")
    return names


def _of_bytes(encode: Any, tower: Any, size: tuple[int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    pixels = tf.TensorSpec((*size, 3), tf.uint8)
    return lambda data: tower(encode(tf.map_fn(lambda one: decode(one, size), data, fn_output_signature=pixels)))


def _chain(encode: Any, tower: Any) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda texts: tower(encode(texts))
