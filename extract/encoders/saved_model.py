"""TensorFlow SavedModels: where a handle leads, what decides its values, and how to call it."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huse.features.errors import EncoderError

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "huse" / "hub"
"""Where downloaded models are kept, unless TFHUB_CACHE_DIR says otherwise; the library's own place is temporary."""

HASHED = ("saved_model.pb", "variables/*", "assets/*")


def resolve(handle: str) -> Path:
    """The folder of a SavedModel, downloaded first if the handle is a URL.

    Raises:
        EncoderError: no such folder, or the download failed.
    """
    if "://" not in handle:
        if not (Path(handle) / "saved_model.pb").exists():
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


def digest(folder: Path) -> str:
    """SHA-256 over graph, variables and assets, wherever the folder lies."""
    result = hashlib.sha256()
    for path in sorted(path for pattern in HASHED for path in folder.glob(pattern)):
        result.update(f"{path.relative_to(folder).as_posix()}:{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            result.update(hashlib.file_digest(file, "sha256").digest())
    return result.hexdigest()


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
    for name in ("serving_default", "default"):
        if name in model.signatures:
            signature = model.signatures[name]
            inputs = list(signature.structured_input_signature[1])
            if len(inputs) == 1:
                return lambda values: signature(**{inputs[0]: values})
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
