"""A saved model with its encoders: texts and pictures straight into the space."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders import ImageEncoder, TextEncoder, image_encoder, text_encoder
from huse.extract.images import PictureError, decode_picture, read_picture
from huse.extract.texts import clean_text
from huse.features.encoder_spec import require_same
from huse.features.errors import ModelError, QueryError
from huse.train.forward import Arrays, softmax
from huse.train.model_folder import TrainedModel, load_model

if TYPE_CHECKING:
    from huse.embed.gallery import Hit
    from huse.features.store import Store

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
        image_encoder: name of the image encoder, when it has moved since the features were extracted.
        text_encoder: name of the text encoder, in the same case.
    """

    def __init__(
        self,
        trained: TrainedModel,
        image_weights: Path | None = None,
        precision: str = "auto",
        image_encoder: str | None = None,
        text_encoder: str | None = None,
    ) -> None:
        self.trained = trained
        self.image_encoder_name = image_encoder or (trained.image.known_as if trained.image else None)
        self.text_encoder_name = text_encoder or (trained.text.known_as if trained.text else None)
        self._image_weights = image_weights
        self._precision = precision

    @property
    def classes(self) -> list[str]:
        """K label paths, in the order of the columns of `classify_texts`."""
        return self.trained.classes

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (n, D) of n texts.

        Raises:
            QueryError: a text is empty.
            ModelError: the model has no text tower.
        """
        return self._texts(texts)["text_embedding"]

    def embed_images(self, images: Sequence[str | Path | bytes]) -> NDArray[np.float32]:
        """Unit vectors (n, D) of n pictures, given as files or as the bytes of files.

        Raises:
            QueryError: a file is missing or not a picture.
            ModelError: the model has no image tower.
        """
        return self._images(images)["image_embedding"]

    def classify_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Class probabilities (n, K) of n texts; errors as `embed_texts`."""
        return softmax(self._texts(texts)["text_logits"])

    def classify_images(self, images: Sequence[str | Path | bytes]) -> NDArray[np.float32]:
        """Class probabilities (n, K) of n pictures; errors as `embed_images`."""
        return softmax(self._images(images)["image_logits"])

    def embed_and_classify_text(self, text: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Unit vector (D,) and class probabilities (K,) of a text, encoded once; errors as `embed_texts`."""
        outputs = self._texts([text])
        return outputs["text_embedding"][0], softmax(outputs["text_logits"])[0]

    def embed_and_classify_image(self, image: str | Path | bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Unit vector (D,) and class probabilities (K,) of a picture, encoded once; errors as `embed_images`."""
        outputs = self._images([image])
        return outputs["image_embedding"][0], softmax(outputs["image_logits"])[0]

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
    ) -> list[Hit]:
        """The k rows nearest to one text or one picture; see `search_embeddings`, which takes several.

        Raises:
            QueryError: not exactly one query, and as `search_embeddings`.
        """
        from huse.embed.search import search_embeddings

        if (text is None) == (image is None):
            raise QueryError("give either a text or a picture to search for")
        texts, images = [text] if text is not None else [], [image] if image is not None else []
        (hits,) = search_embeddings(
            self, embeddings, texts=texts, images=images, k=k, gallery=gallery, classes=classes, index=index
        )
        return hits

    def encoders(self) -> dict[str, ImageEncoder | TextEncoder]:
        """The frozen encoders of the model, by ``image`` and ``text``.

        Raises:
            EncoderError: one cannot be made on this machine.
            FingerprintError: one is another than the model was trained on.
        """
        made: dict[str, ImageEncoder | TextEncoder] = {}
        if self.trained.image is not None:
            made["image"] = self._image_encoder
        if self.trained.text is not None:
            made["text"] = self._text_encoder
        return made

    @cached_property
    def _text_encoder(self) -> TextEncoder:
        if self.trained.text is None:
            raise ModelError("this model was trained on pictures alone; it has no text tower")
        encoder = text_encoder(self.text_encoder_name or "", self.trained.text_state)
        require_same(self.trained.text, encoder.spec, "text: the model and this installation")
        return encoder

    @cached_property
    def _image_encoder(self) -> ImageEncoder:
        if self.trained.image is None:
            raise ModelError("this model was trained on texts alone; it has no image tower")
        encoder = image_encoder(self.image_encoder_name or "", self._image_weights, self._precision)
        require_same(self.trained.image, encoder.spec, "image: the model and this installation")
        return encoder

    def _texts(self, texts: Sequence[str]) -> Arrays:
        encoder = self._text_encoder
        cleaned = [clean_text(text) for text in texts]
        if "" in cleaned:
            raise QueryError(f"text {cleaned.index('')} of {len(cleaned)} is empty; give it words")
        return self._towers("text", encoder.encode(cleaned))

    def _images(self, images: Sequence[str | Path | bytes]) -> Arrays:
        encoder = self._image_encoder
        vectors = [np.zeros((0, encoder.spec.dimension), np.float32)]
        for start in range(0, len(images), BATCH):
            pixels = [_pixels(image, encoder.input_size) for image in images[start : start + BATCH]]
            vectors.append(encoder.encode(np.stack(pixels)))
        return self._towers("image", np.concatenate(vectors))

    def _towers(self, modality: str, vectors: NDArray[np.float32]) -> Arrays:
        inputs = {name: np.zeros((len(vectors), shape[-1]), np.float32) for name, shape in self._input_shapes.items()}
        inputs[modality] = vectors
        return self.trained.forward(inputs)

    @cached_property
    def _input_shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tensor.shape for name, tensor in self.trained.network.input.items()}


def load(
    folder: str | Path,
    image_weights: str | Path | None = None,
    precision: str = "auto",
    image_encoder: str | None = None,
    text_encoder: str | None = None,
) -> Model:
    """Loads a model folder that `huse fit` wrote.

    Args:
        folder: the model.
        image_weights: the weights file given to `huse extract`, if one was.
        precision: arithmetic of the image encoder: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        image_encoder: name of the image encoder, such as ``hub:FOLDER``, when it has moved since it was used.
        text_encoder: name of the text encoder, in the same case.

    Raises:
        ModelError: not a model folder, of another version, or damaged.
    """
    weights = Path(image_weights) if image_weights else None
    return Model(load_model(folder), weights, precision, image_encoder, text_encoder)


def _pixels(image: str | Path | bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    try:
        return decode_picture(image if isinstance(image, bytes) else read_picture(Path(image)), size)
    except PictureError as error:
        name = "picture bytes" if isinstance(image, bytes) else image
        raise QueryError(f"{name}: {error}") from error
