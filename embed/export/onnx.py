"""`huse export onnx`: the towers as an ONNX model, converted by tf2onnx."""

from __future__ import annotations

import json
from pathlib import Path

import tensorflow as tf

from huse.features.errors import ModelError
from huse.features.extras import require
from huse.features.files.atomic import replacing
from huse.features.files.folders import require_apart, require_place
from huse.features.files.place import place
from huse.train.artifact.model_folder import TrainedModel, load_model

OPSET = 17


def export_onnx(model: str | Path | TrainedModel, out: str | Path) -> list[str]:
    """Writes the towers.

    Inputs are ``image`` and ``text`` features (n, Di); outputs, for each, ``*_embedding`` (n, D) unit vectors and, of a
    model with classes, ``*_logits`` (n, K). The label paths, in the order of the logits, stand in the metadata as JSON
    under ``labels``.

    Args:
        model: a model folder, or the model.
        out: the file.

    Returns:
        The names of the outputs.

    Raises:
        ModelError: `out` is there, lies in the model, or has another suffix.
        ExtraError: tf2onnx is not installed.
    """
    path = place(out)
    if path.suffix != ".onnx":
        raise ModelError(f"{path}: name a file .onnx")
    if path.exists():
        raise ModelError(f"{path}: is there already; name a new file")
    require_place(path.parent, ModelError, path)
    if not isinstance(model, TrainedModel):
        require_apart(path, ModelError, model)
    converter = require("tf2onnx", "onnx", "huse export onnx")
    trained = model if isinstance(model, TrainedModel) else load_model(model)
    network = trained.network
    specs = [tf.TensorSpec(tensor.shape, tf.float32, name=name) for name, tensor in network.input.items()]

    @tf.function(input_signature=specs)
    def towers(*features: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = network(dict(zip(network.input, features, strict=True)), training=False)
        return {name: value for name, value in outputs.items() if value.shape[-1]}  # no logits of no classes

    proto, _ = converter.convert.from_function(towers, input_signature=specs, opset=OPSET)
    entry = proto.metadata_props.add()
    entry.key, entry.value = "labels", json.dumps(trained.classes, ensure_ascii=False)
    with replacing(path) as temporary:
        temporary.write_bytes(proto.SerializeToString())
    return [output.name for output in proto.graph.output]
