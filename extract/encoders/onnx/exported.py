"""What `onnx:` models of images and of texts have in common: their files, and the network that runs them."""

from __future__ import annotations

from functools import cached_property

from huse.extract.encoders.onnx.files import Wanted, model_files
from huse.extract.encoders.onnx.session import Session
from huse.features.encoder_spec import EncoderSpec


class ExportedModel:
    """A model by its name, whose network is made when it first runs.

    Args:
        argument: ``FOLDER``, ``FILE.onnx`` or ``hf://ORG/NAME@REVISION``, and behind it ``#OUTPUT:POOLING``.
        modality: ``image`` or ``text``.

    Raises:
        EncoderError: no such model, or not one of the modality.
        ExtraError: huggingface_hub is not installed.
    """

    def __init__(self, argument: str, modality: str) -> None:
        self._wanted = Wanted.of(argument)
        self._files = model_files(self._wanted.place, modality)
        self._modality = modality

    @property
    def files_digest(self) -> str:
        """SHA-256 over all files of the model; taking it runs nothing."""
        return self._files.digest

    def _spec(self, dimension: int, preprocessing: str) -> EncoderSpec:
        source = f"onnx:{self._files.place}{self._wanted.end}"
        return EncoderSpec("onnx", self._modality, dimension, preprocessing, self.files_digest, source)

    @cached_property
    def _session(self) -> Session:
        return Session(self._files)

    def close(self) -> None:
        """Lets the network go."""
        self.__dict__.pop("_session", None)
