"""`onnx:` models of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders.onnx.exported import ExportedModel
from huse.extract.encoders.onnx.outputs import text_output
from huse.extract.encoders.onnx.session import in_batches, placeholder, runtime_for
from huse.extract.encoders.onnx.tokens import Tokenizer, Tokens
from huse.extract.texts import PREPROCESSING
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import EncoderError
from huse.features.unit_rows import unit_rows

IDS, MASK, TYPES, PLACES, PIXELS = "input_ids", "attention_mask", "token_type_ids", "position_ids", "pixel_values"

TEXTS_A_BATCH, TOKENS_A_BATCH = 32, 1 << 13
"""Most of either that the network gets at a time, those that pad among them."""


class OnnxTextEncoder(ExportedModel):
    """A model of texts with a tokenizer, such as MiniLM, bge, e5, or the text half of CLIP and SigLIP.

    Args:
        argument: ``FOLDER``, ``FILE.onnx`` or ``hf://ORG/NAME@REVISION``, and behind it ``#OUTPUT:POOLING``.

    Raises:
        EncoderError: no such model, or not one of texts.
        ExtraError: onnxruntime, tokenizers or huggingface_hub is not installed.
    """

    def __init__(self, argument: str) -> None:
        super().__init__(argument, "text")
        files = self._files
        inputs = files.graph.inputs
        if IDS not in inputs:
            takes = f"{files.graph_path.name} takes {', '.join(inputs)} and no {IDS}, it is no model of texts"
            raise EncoderError(
                f"onnx:{files.place}: {takes}; if it is one of images, name it by image_encoder (--image-encoder)"
            )
        self._require_fed()
        self._output = text_output(files, self._wanted)
        self._batch_size, length = (*inputs[IDS].shape, 0, 0)[:2]
        self._tokenizer = Tokenizer(files, length, MASK in inputs)
        runtime_for(files)

    def _require_fed(self) -> None:
        unfed = [
            name
            for name, tensor in self._files.graph.inputs.items()
            if name not in (IDS, MASK, TYPES, PLACES, PIXELS) or not tensor.kind
        ]
        if unfed:
            raise EncoderError(
                f"{self._files.graph_path}: takes {', '.join(unfed)}, which nothing gives it; take a graph of "
                f"{IDS}, {MASK} and {TYPES}"
            )

    @property
    def batch_size(self) -> int:
        """See `Batching`; a large network takes seconds for as many long texts."""
        return TEXTS_A_BATCH

    @cached_property
    def spec(self) -> EncoderSpec:
        """The spec; its digest covers the files, their place is not part of the fingerprint."""
        tokenizer = self._tokenizer
        prompt = f"{tokenizer.prompt!r} before it; " if tokenizer.prompt else ""
        return self._spec(self._dimension, f"{PREPROCESSING}; {prompt}{tokenizer.most} tokens at most; {self._output}")

    @property
    def _dimension(self) -> int:
        size = self._files.graph.outputs[self._output.name].shape[-1]
        if not size:
            return int(self._vectors(self._tokenizer.encode(["a"])).shape[1])
        return size * (len(self._output.pooling.names) if self._output.pooling else 1)

    @property
    def without_words(self) -> str:
        """Why a text's vector may be all zeros, and what to do."""
        return f"no known word: {self.spec.known_as} knows none of the text's; take a model of its language"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts to (n, dimension) vectors; one of which no token is known is all zeros."""
        if not texts:
            return np.zeros((0, self.spec.dimension), np.float32)
        encodings = self._tokenizer.encode(texts)
        vectors = np.concatenate([self._vectors(part) for part in self._parts(encodings)])
        vectors[[not self._tokenizer.knows(encoding) for encoding in encodings]] = 0
        return vectors

    def _parts(self, encodings: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """Encodings in order, so many at a time that those of a long text are not many."""
        most = 1 if self._files.graph.quantizes else TEXTS_A_BATCH
        start = longest = 0
        for i, encoding in enumerate(encodings):
            longest = max(longest, len(encoding.ids))
            if i - start == most or (i > start and (i - start + 1) * longest > TOKENS_A_BATCH):
                yield encodings[start:i]
                start, longest = i, len(encoding.ids)
        yield encodings[start:]

    def _vectors(self, encodings: Sequence[Any]) -> NDArray[np.float32]:
        tokens = self._tokenizer.padded(encodings)
        found = in_batches(self._run, self._feeds(tokens), self._batch_size)
        if self._output.pooling is not None:
            found = self._output.pooling(found, tokens.mask)
        if found.ndim != 2 or len(found) != len(encodings):
            raise EncoderError(
                f"{self._files.graph_path}: {self._output.name} has shape {found.shape} for {len(encodings)} texts; "
                f"name an output of one vector a text, onnx:{self._files.place}#OUTPUT"
            )
        return unit_rows(found) if self._output.normalize else found

    def _feeds(self, tokens: Tokens) -> dict[str, NDArray[Any]]:
        places = np.maximum(tokens.mask.cumsum(1) - 1, 0)
        made = {IDS: tokens.ids, MASK: tokens.mask, TYPES: tokens.types, PLACES: places}
        return {name: made[name] for name in self._files.graph.inputs if name in made}

    def _run(self, feeds: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        pixels = self._files.graph.inputs.get(PIXELS)
        others = {} if pixels is None else {PIXELS: placeholder(pixels, (1, 3, self._side, self._side))}
        return self._session.run(self._output.name, {**feeds, **others})

    @property
    def _side(self) -> int:
        """The side of the images that a graph of both modalities takes."""
        told = self._files.json("config.json").get("vision_config")
        side = told.get("image_size") if isinstance(told, dict) else None
        return side if isinstance(side, int) and 0 < side < 1 << 12 else 224
