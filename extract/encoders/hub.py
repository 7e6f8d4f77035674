"""`hub:HANDLE-OR-FOLDER`: any TensorFlow SavedModel from images or strings to vectors (TF Hub, Kaggle Models)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.extract import texts
from huse.extract.encoders import hub_model
from huse.extract.encoders.names import sized
from huse.extract.encoders.replicas import Replicas, as_encoder_error
from huse.extract.images import decoding
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import EncoderError

TEXTS_A_BATCH = 256
USUAL_SIDE = 224
"""Of the images of models that take any size."""


class _SavedModel:
    """A model by its handle, each part of it read once.

    Raises:
        EncoderError: no such model.
    """

    def __init__(self, handle: str) -> None:
        self.handle = handle
        self.folder = hub_model.resolve(handle)

    @cached_property
    def files_digest(self) -> str:
        """SHA-256 of the SavedModel's files; taking it runs nothing."""
        return hub_model.digest(self.folder)

    @cached_property
    def _graph(self) -> Any:
        return hub_model.read_graph(self.folder)

    @cached_property
    def _model(self) -> Any:
        return hub_model.load(self.folder)

    @property
    def _source(self) -> str:
        return f"hub:{hub_model.known_as(self.handle, self.folder)}"


class HubImageEncoder(_SavedModel):
    """A model of RGB images with values from 0 to 1, as the hub's common image models are; uint8 ones are left so.

    Args:
        handle: folder or URL of the model.
        precision: ``auto`` or ``float32``.
        side: of the images in pixels, for a model that takes any size.

    Raises:
        EncoderError: no such model, not one of images, or a precision or side is asked for that is not its own.
    """

    def __init__(self, handle: str, precision: str = "auto", side: int | None = None) -> None:
        if precision not in ("auto", "float32"):
            raise EncoderError(
                f"hub:{handle}: precision={precision!r} (--precision) is not to be had, a SavedModel has its own"
            )
        super().__init__(handle)
        self._side = side
        if side and self.input_size != (side, side):
            height, width = self.input_size
            raise EncoderError(f"hub@{side}:{handle}: takes images of {height} x {width}; write hub:{handle}")

    @property
    def _source(self) -> str:
        return sized("hub", self._side, hub_model.known_as(self.handle, self.folder))

    @cached_property
    def _input(self) -> tuple[tuple[int, int], bool]:
        """(height, width), and whether the pixels stay uint8."""
        import tensorflow as tf

        usual, signature = self._side or USUAL_SIDE, hub_model.signature(self._graph)
        for tensor in signature.inputs.values() if signature else ():
            if len(tensor.tensor_shape.dim) == 4:
                height, width = (max(dim.size, 0) for dim in tensor.tensor_shape.dim[1:3])
                return (height or usual, width or usual), tensor.dtype == tf.uint8.as_datatype_enum
        return (usual, usual), False

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) that the model's signature asks for, else the side of the name, else `USUAL_SIDE`."""
        return self._input[0]

    @cached_property
    def spec(self) -> EncoderSpec:
        """The spec; its digest covers the SavedModel's files, its handle is not part of the fingerprint.

        The model is run only if its graph does not tell the length of its vectors.
        """
        height, width = self.input_size
        dimension = hub_model.dimension(self._graph, self.folder)
        dimension = dimension or self.encode(np.zeros((1, height, width, 3), np.uint8)).shape[1]
        preprocessing = f"{decoding.PREPROCESSING} to {height} x {width}; {'0 to 255' if self._input[1] else '0 to 1'}"
        return EncoderSpec("hub", "image", dimension, preprocessing, self.files_digest, source=self._source)

    @cached_property
    def _replicas(self) -> Replicas:
        return Replicas(self._build)

    def graph(self) -> tuple[Callable[[Any], Any], list[Any]]:
        """See `Traceable`."""
        return self._forward(self._model), [self._model]

    def _build(self) -> Callable[[NDArray[np.uint8]], Any]:
        return self._forward(hub_model.load(self.folder))

    def _forward(self, model: Any) -> Callable[[Any], Any]:
        import tensorflow as tf

        call, as_bytes = hub_model.caller(model, self.folder), self._input[1]

        def forward(pixels: Any) -> Any:
            values = tf.convert_to_tensor(pixels) if as_bytes else tf.cast(pixels, tf.float32) / 255.0
            return _matrix(hub_model.only_output(call(values), self.folder), self.folder)

        return forward

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, height, width, 3) RGB pixels to (n, dimension) vectors."""
        return self._replicas(pixels)


class HubTextEncoder(_SavedModel):
    """A model of strings: USE v4, NNLM, ...

    Raises:
        EncoderError: no such model, or not one of strings.
    """

    @cached_property
    def spec(self) -> EncoderSpec:
        """The spec, as `HubImageEncoder.spec`."""
        dimension = hub_model.dimension(self._graph, self.folder) or self.encode(["a"]).shape[1]
        return EncoderSpec("hub", "text", dimension, texts.PREPROCESSING, self.files_digest, source=self._source)

    def graph(self) -> tuple[Callable[[Any], Any], list[Any]]:
        """See `Traceable`."""
        call = hub_model.caller(self._model, self.folder)
        return lambda texts: _matrix(hub_model.only_output(call(texts), self.folder), self.folder), [self._model]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts to (n, dimension) vectors."""
        if not texts:
            return np.zeros((0, self.spec.dimension), np.float32)
        import tensorflow as tf

        call = hub_model.caller(self._model, self.folder)
        parts = []
        for start in range(0, len(texts), TEXTS_A_BATCH):
            with as_encoder_error(f"hub:{self.handle}"):
                result = call(tf.constant(list(texts[start : start + TEXTS_A_BATCH])))
            parts.append(np.asarray(_matrix(hub_model.only_output(result, self.folder), self.folder), np.float32))
        return np.concatenate(parts)


def _matrix(result: Any, folder: Path) -> Any:
    if len(result.shape) != 2:
        raise EncoderError(f"{folder}: returns shape {tuple(result.shape)}; a model of one vector an item is needed")
    return result
