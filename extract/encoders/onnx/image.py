"""`onnx:` models of images."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders.onnx.exported import ExportedModel
from huse.extract.encoders.onnx.graph import Tensor
from huse.extract.encoders.onnx.outputs import image_output
from huse.extract.encoders.onnx.preprocessing import preprocessing_of
from huse.extract.encoders.onnx.session import in_batches, placeholder, runs_on_gpu, runtime_for
from huse.extract.encoders.replicas import CPU_BATCH, GPU_BATCH
from huse.extract.images.decoding import READING
from huse.extract.images.framing import Framing
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import EncoderError

PIXELS = "pixel_values"
AXES = 4
"""Of a batch of images."""

OF_TEXTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


class OnnxImageEncoder(ExportedModel):
    """A model of images, such as DINOv2, ViT, or the image half of CLIP and SigLIP.

    Args:
        argument: ``FOLDER``, ``FILE.onnx`` or ``hf://ORG/NAME@REVISION``, and behind it ``#OUTPUT:POOLING``.
        precision: ``auto`` alone: a graph has its own.

    Raises:
        EncoderError: no such model, or not one of images, or a precision is asked for.
        ExtraError: onnxruntime or huggingface_hub is not installed.
    """

    def __init__(self, argument: str, precision: str = "auto") -> None:
        if precision != "auto":
            raise EncoderError(
                f"onnx:{argument}: precision={precision!r} (--precision) is not to be had, a graph has its own; name "
                "one of that precision, such as onnx:FOLDER/onnx/model_fp16.onnx"
            )
        super().__init__(argument, "image")
        files = self._files
        self._input, tensor = self._of_pixels()
        self._preprocessing = preprocessing_of(files)
        runtime_for(files)
        self._output = image_output(files, self._wanted)
        self._channels_first = tensor.shape[3] != 3 or tensor.shape[1] == 3
        self._batch_size = tensor.shape[0]
        taken = tensor.shape[2:] if self._channels_first else tensor.shape[1:3]
        if any(side not in (0, made) for side, made in zip(taken, self.input_size, strict=True)):
            raise EncoderError(
                f"{files.graph_path}: takes images of {taken[0]} x {taken[1]}, and preprocessor_config.json makes them "
                f"{self.input_size[0]} x {self.input_size[1]}; take the two of one model"
            )

    def _of_pixels(self) -> tuple[str, Tensor]:
        """The input for pixels; the others that the graph has do not matter."""
        inputs = self._files.graph.inputs
        images = [
            name for name, tensor in inputs.items() if len(tensor.shape) == AXES and tensor.kind.startswith("float")
        ]
        name = PIXELS if PIXELS in images else next(iter(images), "")
        if not name:
            raise EncoderError(
                f"onnx:{self._files.place}: {self._files.graph_path.name} takes {', '.join(inputs)} and no images in "
                f"floats, (n, 3, height, width); if it is a model of texts, name it by text_encoder (--text-encoder)"
            )
        unfed = [n for n, tensor in inputs.items() if n != name and (n not in OF_TEXTS or not tensor.kind)]
        if unfed:
            path, missing = self._files.graph_path, ", ".join(unfed)
            raise EncoderError(f"{path}: takes {missing}, which nothing gives it; take a graph of images alone")
        return name, inputs[name]

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the pixels that it takes."""
        return self.framing.size

    @property
    def framing(self) -> Framing:
        """See `Framed`."""
        return self._preprocessing.framing

    @property
    def batch_size(self) -> int:
        """See `Batching`."""
        return GPU_BATCH if runs_on_gpu(self._files) else CPU_BATCH

    @cached_property
    def spec(self) -> EncoderSpec:
        """The spec; its digest covers the files, their place is not part of the fingerprint."""
        return self._spec(self._dimension, f"{READING}; {self._preprocessing}; {self._output}")

    @property
    def _dimension(self) -> int:
        shape = self._files.graph.outputs[self._output.name].shape
        size = shape[1] if len(shape) == AXES else shape[-1]
        if not size:
            return int(self.encode(np.zeros((1, *self.input_size, 3), np.uint8)).shape[1])
        return size * (len(self._output.pooling.names) if self._output.pooling else 1)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, height, width, 3) RGB pixels to (n, dimension) vectors."""
        if not len(pixels):
            return np.zeros((0, self.spec.dimension), np.float32)
        size = self._batch_size or int(self._files.graph.quantizes)
        found = in_batches(self._run, {self._input: pixels}, size)
        if found.ndim == AXES:  # a map of features
            return np.asarray(found.mean((2, 3)), np.float32)
        if found.ndim == 3 and self._output.pooling is not None:
            return self._output.pooling(found, np.ones(found.shape[:2], np.int64))
        if found.ndim != 2 or len(found) != len(pixels):
            raise EncoderError(
                f"{self._files.graph_path}: {self._output.name} has shape {found.shape} for {len(pixels)} images; name "
                f"an output of one vector an image, onnx:{self._files.place}#OUTPUT"
            )
        return found

    def _run(self, pixels: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        inputs = self._files.graph.inputs
        others = {name: placeholder(inputs[name], (1, 1)) for name in inputs if name != self._input}
        values = self._preprocessing(pixels[self._input], self._channels_first)
        return self._session.run(self._output.name, {self._input: values, **others})
