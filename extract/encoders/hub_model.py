"""TensorFlow SavedModels: where a handle leads, what decides its values, and how to call it."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huse.features.errors import EncoderError
from huse.features.files.place import is_url, real_path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "huse" / "hub"
"""Where downloaded models are kept, unless TFHUB_CACHE_DIR says otherwise; the library's own place is temporary."""

SIGNATURES = ("serving_default", "default")
HASHED = ("saved_model.pb", "variables/**/*", "assets/**/*")


def is_there(handle: str) -> bool:
    """Whether a handle is a URL, or a folder with a SavedModel."""
    return is_url(handle) or (Path(handle) / "saved_model.pb").is_file()


def resolve(handle: str) -> Path:
    """The folder of a SavedModel, downloaded first if the handle is a URL.

    Raises:
        EncoderError: no such folder, or the download failed.
    """
    if not is_url(handle):
        if not is_there(handle):
            raise EncoderError(
                f"{handle or 'hub:'}: no saved_model.pb there; name the folder of a SavedModel or its URL"
            )
        return Path(handle)
    os.environ.setdefault("TFHUB_CACHE_DIR", str(CACHE))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources, which warns of its own end
        import tensorflow_hub
    try:
        return Path(tensorflow_hub.resolve(handle))
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EncoderError(f"{handle}: cannot be downloaded ({reason}); name a local folder, as hub:FOLDER") from error


def known_as(handle: str, folder: Path) -> str:
    """How a model is named again: its URL, or where its folder is now.

    A folder whose name holds a plus sign ends in a slash, or the rest of it could be taken for a second encoder.
    """
    if is_url(handle):
        return handle
    there = real_path(folder)
    return f"{there}{'/' if '+' in there.name else ''}"


def digest(folder: Path) -> str:
    """SHA-256 over graph, variables and assets, wherever the folder lies."""
    result = hashlib.sha256()
    for path in sorted(path for pattern in HASHED for path in folder.glob(pattern) if path.is_file()):
        result.update(f"{path.relative_to(folder).as_posix()}:{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            result.update(hashlib.file_digest(file, "sha256").digest())
    return result.hexdigest()


def read_graph(folder: Path) -> Any:
    """The first graph of a SavedModel as it is written, of which nothing is run.

    Raises:
        EncoderError: damaged.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    try:
        return SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]
    except (OSError, DecodeError, IndexError) as error:
        raise EncoderError(f"{folder}: saved_model.pb is damaged ({type(error).__name__})") from error


def signature(graph: Any) -> Any:
    """The signature of a graph that is called unless told otherwise; None when it has none."""
    return next((graph.signature_def[name] for name in SIGNATURES if name in graph.signature_def), None)


def output_shapes(graph: Any) -> dict[str, list[int]]:
    """The shape of each output of the function that `caller` gives, -1 for what is open; empty where nothing tells."""
    nodes = graph.object_graph_def.nodes
    children = nodes[0].children if nodes else ()
    called = next((nodes[child.node_id].function for child in children if child.local_name == "__call__"), None)
    if called is not None:
        functions = graph.object_graph_def.concrete_functions
        found = [_shapes(functions[name].output_signature, "") for name in called.concrete_functions]
        return next(filter(None, found), {})
    outputs = signature(graph).outputs if signature(graph) else {}
    return {name: [dim.size for dim in tensor.tensor_shape.dim] for name, tensor in outputs.items()}


def dimension(graph: Any, folder: Path) -> int:
    """The length of the vectors that a graph tells to return; 0 when it does not tell.

    Raises:
        EncoderError: several outputs, and none has a usual name; or none of one vector an item.
    """
    shapes = output_shapes(graph)
    if not shapes:
        return 0
    shape = shapes[""] if "" in shapes else only_output(shapes, folder)
    if shape and len(shape) != 2:
        raise EncoderError(f"{folder}: returns shape {tuple(shape)}; a model of one vector an item is needed")
    return max(shape[-1], 0) if shape else 0


def _shapes(value: Any, name: str) -> dict[str, list[int]]:
    kind = value.WhichOneof("kind")
    if kind == "tensor_spec_value":
        return {name: [dim.size for dim in value.tensor_spec_value.shape.dim]}
    found: dict[str, list[int]] = {}
    if kind == "dict_value":
        for key in value.dict_value.fields:
            found |= _shapes(value.dict_value.fields[key], f"{name}/{key}" if name else key)
    elif kind in ("list_value", "tuple_value"):
        several = value.list_value if kind == "list_value" else value.tuple_value
        for i, part in enumerate(several.values):
            found |= _shapes(part, f"{name}/{i}" if name else str(i))
    return found


def load(folder: Path) -> Any:
    """The loaded SavedModel; keep it, for its variables go with it.

    Raises:
        EncoderError: damaged, or made with operations that are not there.
    """
    import tensorflow as tf

    try:
        return tf.saved_model.load(str(folder))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EncoderError(f"{folder}: not a SavedModel that can be loaded ({reason})") from error


def caller(model: Any, folder: Path) -> Callable[[Any], Any]:
    """The function of a SavedModel from one input to its output, or outputs by name.

    Raises:
        EncoderError: it has none.
    """
    if callable(model):
        return model  # type: ignore[no-any-return]
    for name in SIGNATURES:
        if name in model.signatures:
            function = model.signatures[name]
            inputs = list(function.structured_input_signature[1])
            if len(inputs) == 1:
                return lambda values: function(**{inputs[0]: values})
    raise EncoderError(f"{folder}: no function of one input; export one as serving_default")


def only_output(result: Any, folder: Path) -> Any:
    """The vectors among what a SavedModel returned.

    Raises:
        EncoderError: several outputs, and none has a usual name.
    """
    if not isinstance(result, dict):
        return result
    if len(result) == 1:
        return next(iter(result.values()))
    for name in ("outputs", "default", "feature_vector", "pooled_output"):
        if name in result:
            return result[name]
    raise EncoderError(f"{folder}: returns {', '.join(sorted(result))}; export one output, or name it outputs")
