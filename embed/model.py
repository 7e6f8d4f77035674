"""A saved model with its encoders: texts and images straight into the space."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.embed.given import given_images, given_texts
from huse.embed.search.gallery import Hit
from huse.embed.search.search import search_embeddings
from huse.extract.encoders import ImageEncoder, TextEncoder, image_encoder, text_encoder
from huse.extract.encoders.protocol import OfFiles, close_all, framing_of, require_encoder, without_words
from huse.extract.encoders.registry import is_outside
from huse.extract.images.decoding import MAX_PIXELS, ImageError, decode_image
from huse.extract.images.framing import Framing
from huse.extract.images.reading import read_image
from huse.extract.texts import clean_text
from huse.features.encoder_spec import ELSEWHERE, EncoderSpec
from huse.features.errors import FingerprintError, HuseError, ModelError, QueryError
from huse.features.files.place import place
from huse.features.modality import Pair
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel, load_model
from huse.train.network.forward import Output

BATCH = 32


class Model:
    """A trained model and the frozen encoders it stands on, loaded when first needed.

    Example:
        >>> model = huse.load("MODEL")
        >>> model.embed_texts(["sea animal"]).shape
        (1, 512)

    Args:
        trained: the towers.
        image_weights: weights file of the image encoder, when it is not the bundled one.
        precision: arithmetic of the image encoder.
        image_encoder: the image encoder, or its name, when it has moved since the features were extracted, or comes
            from outside huse, such as ``hub:FOLDER``: giving it is the consent to run it.
        text_encoder: the text encoder, or its name, in the same cases.
        max_pixels: most pixels of an image that is searched for or embedded; larger ones are refused undecoded.
    """

    def __init__(
        self,
        trained: TrainedModel,
        image_weights: Path | None = None,
        precision: str = "auto",
        image_encoder: str | ImageEncoder | None = None,
        text_encoder: str | TextEncoder | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.trained = trained
        self.max_pixels = max_pixels
        self._given = Pair[str | ImageEncoder | TextEncoder | None](image=image_encoder, text=text_encoder)
        self.image_weights = image_weights
        self.precision = precision
        self._once = RLock()
        self._made: dict[str, Any] = {}
        self._warm: set[str] = set()

    @property
    def classes(self) -> list[str]:
        """K label paths, in the order of the columns of `classify_texts`; none where no classifier was trained."""
        return self.trained.classes if self.trained.classifies else []

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (n, D) of n texts.

        Raises:
            QueryError: a text is empty, or the encoder knows none of its words.
            ModelError: the model has no text tower.
        """
        return self._texts(texts).embedding

    def embed_images(self, images: Sequence[str | Path | bytes]) -> NDArray[np.float32]:
        """Unit vectors (n, D) of n images, given as files or as the bytes of files.

        Raises:
            QueryError: a file is missing or not an image.
            ModelError: the model has no image tower.
        """
        return self._images(images).embedding

    def classify_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Class probabilities (n, K) of n texts; errors as `embed_texts`."""
        return self._texts(texts).probabilities()[:, : len(self.classes)]

    def classify_images(self, images: Sequence[str | Path | bytes]) -> NDArray[np.float32]:
        """Class probabilities (n, K) of n images; errors as `embed_images`."""
        return self._images(images).probabilities()[:, : len(self.classes)]

    def embed_and_classify_text(self, text: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Unit vector (D,) and class probabilities (K,) of a text, encoded once; errors as `embed_texts`."""
        output = self._texts([text])
        return output.embedding[0], output.probabilities()[0, : len(self.classes)]

    def embed_and_classify_image(self, image: str | Path | bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Unit vector (D,) and class probabilities (K,) of an image, encoded once; errors as `embed_images`."""
        output = self._images([image])
        return output.embedding[0], output.probabilities()[0, : len(self.classes)]

    def search(
        self,
        embeddings: str | Path | Store,
        *,
        text: str | None = None,
        image: str | Path | bytes | None = None,
        k: int = 10,
        gallery: str | None = None,
        classes: Sequence[str] = (),
        index: str = "auto",
        rescore: str | Path | Store | None = None,
    ) -> list[Hit]:
        """The k rows nearest to one text or one image; otherwise as `search_embeddings`, which takes several."""
        if (text is None) == (image is None):
            raise QueryError("give either a text or an image to search for")
        texts, images = [text] if text is not None else [], [image] if image is not None else []
        (hits,) = search_embeddings(
            self,
            embeddings,
            texts=texts,
            images=images,
            k=k,
            gallery=gallery,
            classes=classes,
            index=index,
            rescore=rescore,
        )
        return hits

    def encoders(self) -> dict[str, ImageEncoder | TextEncoder]:
        """The frozen encoders of the model, by ``image`` and ``text``; errors as `encoder`."""
        return {modality: self.encoder(modality) for modality in self.trained.specs.given()}

    def encoder(self, modality: str) -> Any:
        """The frozen encoder of ``image`` or ``text``, made once whatever threads ask for it.

        Raises:
            ModelError: the model has no such tower; or the encoder comes from outside huse, and only the model
                names it.
            EncoderError: it cannot be made on this machine.
            FingerprintError: it is another than the model was trained on.
        """
        spec = self.trained.specs.of(modality)
        if spec is None:
            other = Pair(image="texts", text="images").of(modality)
            raise ModelError(f"this model was trained on {other} alone; it has no {modality} tower")
        with self._once:
            if modality not in self._made:
                self._made[modality] = self._make(modality, spec)
            return self._made[modality]

    def recipe(self, modality: str) -> Any:
        """What `encoder` gives it from: the encoder that was handed in, or a name; errors as `encoder`."""
        given = self._given.of(modality)
        encoder = self.encoder(modality)
        return encoder.spec.known_as if given is None else given

    def named(self, modality: str) -> str | None:
        """The encoder that the caller has named in place of the model's own, if any."""
        given = self._given.of(modality)
        return given if isinstance(given, str) else None

    def warm(self) -> list[HuseError]:
        """Builds all that the first query would wait for: the encoders' networks and the towers.

        Returns:
            Why an encoder cannot be had, as its queries will be told; searching by rows needs none.
        """
        errors: list[HuseError] = []
        for modality in ("text", "image"):
            try:
                if self.trained.specs.of(modality) is not None:
                    self._ready(modality)
            except HuseError as error:
                errors.append(error)
        return errors

    def close(self) -> None:
        """Closes the encoders that were made by name; those that were handed in belong to whoever made them."""
        with self._once:
            close_all(made for modality, made in self._made.items() if isinstance(self._given.of(modality), str | None))
            self._made, self._warm = {}, set()

    def _make(self, modality: str, spec: EncoderSpec) -> Any:
        given = self._given.of(modality)
        encoder = self._by_name(modality, given, spec) if isinstance(given, str | None) else given
        require_encoder(encoder, modality)
        if spec.preprocessing == ELSEWHERE and encoder.spec.dimension == spec.dimension:
            return encoder  # nothing else is known of them: whoever names the encoder vouches for it
        if encoder.spec != spec:
            weights = " or image_weights (--image-weights)" if modality == "image" else ""
            raise FingerprintError(
                f"{modality}: the model was trained on vectors of {spec}, this installation makes those of "
                f"{encoder.spec}; name the right ones by {modality}_encoder (--{modality}-encoder){weights}"
            )
        return encoder

    def _by_name(self, modality: str, name: str | None, spec: EncoderSpec) -> ImageEncoder | TextEncoder:
        """The encoder of a name, by default of the one that the model knows it by."""
        if name is None and spec.preprocessing == ELSEWHERE:
            raise ModelError(
                f"the model was trained on imported {modality} features, {spec}, which huse cannot make; name the "
                f"encoder that made them, one of huse encoders, by {modality}_encoder (--{modality}-encoder)"
            )
        if name is None and is_outside(spec.known_as):
            raise ModelError(
                f"the model names the {modality} encoder {spec.known_as}, which comes from outside huse; if you "
                f"trust it, name it too: {modality}_encoder={spec.known_as!r} (--{modality}-encoder)"
            )
        name = name or spec.known_as
        encoder: ImageEncoder | TextEncoder = (
            image_encoder(name, self.image_weights, self.precision)
            if modality == "image"
            else text_encoder(name, self.trained.text_state)
        )
        if isinstance(encoder, OfFiles) and encoder.files_digest != spec.weights:  # before any of the code runs
            raise FingerprintError(f"{modality}: the files of {name} are not those of {spec}; name the right ones")
        return encoder

    def _ready(self, modality: str) -> Any:
        """The encoder, its network built: encoders build theirs at the first use, which two threads could do twice."""
        if modality in self._warm:  # without the lock, under which the other encoder may be building
            return self._made[modality]
        with self._once:
            encoder = self.encoder(modality)
            if modality not in self._warm:
                one = ["a"] if modality == "text" else np.zeros((1, *encoder.input_size, 3), np.uint8)
                self._towers(modality, encoder.encode(one))
                self._warm.add(modality)
        return encoder

    def _texts(self, texts: Sequence[str]) -> Output:
        encoder, cleaned = self._ready("text"), [clean_text(text) for text in given_texts(texts)]
        if "" in cleaned:
            raise QueryError(f"text {cleaned.index('')} of {len(cleaned)} is empty; give it words")
        vectors = encoder.encode(cleaned)
        silent = np.flatnonzero(~np.any(vectors, axis=1))
        if len(silent):
            raise QueryError(f"text {cleaned[silent[0]]!r}: {without_words(encoder)}")
        return self._towers("text", vectors)

    def _images(self, images: Sequence[str | Path | bytes]) -> Output:
        encoder, images = self._ready("image"), given_images(images)
        vectors = [np.zeros((0, encoder.spec.dimension), np.float32)]
        for start in range(0, len(images), BATCH):
            pixels = [self._pixels(image, framing_of(encoder)) for image in images[start : start + BATCH]]
            vectors.append(encoder.encode(np.stack(pixels)))
        return self._towers("image", np.concatenate(vectors))

    def _pixels(self, image: str | Path | bytes, framing: Framing) -> NDArray[np.uint8]:
        try:
            data = image if isinstance(image, bytes) else read_image(image)
            return decode_image(data, framing, self.max_pixels)
        except ImageError as error:
            raise QueryError(f"{'image bytes' if isinstance(image, bytes) else image}: {error}") from error

    def _towers(self, modality: str, vectors: NDArray[np.float32]) -> Output:
        inputs = {name: np.zeros((len(vectors), shape[-1]), np.float32) for name, shape in self._input_shapes.items()}
        inputs[modality] = vectors
        return self.trained.forward(Pair.by_name(inputs.get)).given()[modality]

    @cached_property
    def _input_shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tensor.shape for name, tensor in self.trained.network.input.items()}


def load(
    folder: str | Path,
    image_weights: str | Path | None = None,
    precision: str = "auto",
    image_encoder: str | ImageEncoder | None = None,
    text_encoder: str | TextEncoder | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Model:
    """Loads a model folder that `huse fit` wrote.

    Args:
        folder: the model, or ``hf://ORG/NAME`` or ``hf://ORG/NAME@REVISION`` of the Hugging Face hub (extra `[hub]`).
        image_weights: the weights file given to `huse extract`, if one was.
        precision: arithmetic of the image encoder: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        image_encoder: the image encoder, or its name, such as ``hub:FOLDER``; see `Model`.
        text_encoder: the text encoder, or its name; see `Model`.
        max_pixels: most pixels of an image; larger ones are refused.

    Raises:
        ModelError, HubError: not a model folder, of another version, or damaged; or none that can be had of the hub.
    """
    weights = place(image_weights) if image_weights else None
    return Model(load_model(folder), weights, precision, image_encoder, text_encoder, max_pixels)
