"""A graph at work: ONNX Runtime on a GPU where it has one, else on the processor."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders.onnx.files import ModelFiles
from huse.extract.encoders.onnx.graph import Tensor
from huse.features.errors import EncoderError
from huse.features.extras import require
from huse.features.processor import processors

GPU, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
FATAL_ONLY = 4
"""Of what is logged: errors are raised, too."""


def runtime_for(files: ModelFiles) -> Any:
    """The module of ONNX Runtime.

    Raises:
        ExtraError: onnxruntime is not installed.
    """
    return require("onnxruntime", "onnx", f"onnx:{files.place}")


def runs_on_gpu(files: ModelFiles) -> bool:
    """Whether the installed ONNX Runtime has GPUs."""
    return GPU in runtime_for(files).get_available_providers()


class Session:
    """The graph of a model, loaded.

    Raises:
        EncoderError: it cannot be loaded.
        ExtraError: onnxruntime is not installed.
    """

    def __init__(self, files: ModelFiles) -> None:
        self._files = files
        runtime = runtime_for(files)
        options = runtime.SessionOptions()
        options.log_severity_level = FATAL_ONLY
        options.intra_op_num_threads = _threads()
        # threads that wait by spinning would keep the processors from those that read and decode images
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = [GPU, CPU] if runs_on_gpu(files) else [CPU]
        try:
            self._session = runtime.InferenceSession(str(files.graph_path), options, providers=providers)
        except Exception as error:
            raise EncoderError(f"{files.graph_path}: ONNX Runtime cannot load it ({_reason(error)})") from error

    def run(self, output: str, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """One output as float32.

        Args:
            output: its name.
            feeds: arrays by the names of the inputs, cast to what these take.

        Raises:
            EncoderError: the graph cannot be run on them.
        """
        inputs = self._files.graph.inputs
        cast = {name: np.asarray(array, inputs[name].kind) for name, array in feeds.items()}
        try:
            (result,) = self._session.run([output], cast)
        except Exception as error:
            raise EncoderError(
                f"{self._files.graph_path}: ONNX Runtime cannot run it ({_reason(error)}); take another graph"
            ) from error
        return np.asarray(result, np.float32)


def _threads() -> int:
    """As many as TensorFlow is told to take, as by an engine that shares a machine; else one a processor."""
    told = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return int(told) if told.isdecimal() and int(told) else processors()


def placeholder(tensor: Tensor, least: Sequence[int]) -> NDArray[Any]:
    """Ones for an input that does not matter: as many as its shape asks for, else the least that it takes."""
    shape = tensor.shape if len(tensor.shape) == len(least) else least
    return np.ones([size or other for size, other in zip(shape, least, strict=True)], tensor.kind)


def in_batches(
    run: Callable[[dict[str, NDArray[Any]]], NDArray[np.float32]], arrays: dict[str, NDArray[Any]], size: int
) -> NDArray[np.float32]:
    """The results of `run` for arrays of n items each, in batches of exactly `size`; 0 takes all at once."""
    count = len(next(iter(arrays.values())))
    if not size:
        return run(arrays)
    parts = []
    for start in range(0, count, size):
        part = {name: array[start : start + size] for name, array in arrays.items()}
        lacking = size - len(next(iter(part.values())))
        filled = {name: np.concatenate([array, np.repeat(array[:1], lacking, 0)]) for name, array in part.items()}
        parts.append(run(filled)[: size - lacking])
    return np.concatenate(parts)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
