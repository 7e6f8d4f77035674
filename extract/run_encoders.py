"""The encoders of a run: by the names of its config, or objects that are handed in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from huse.extract.config import ExtractConfig
from huse.extract.encoders.arithmetic import Arithmetic
from huse.extract.encoders.protocol import (
    Batching,
    FittedEncoder,
    ImageEncoder,
    State,
    TextEncoder,
    block_of,
    close_all,
    require_encoder,
)
from huse.extract.encoders.registry import image_encoder, text_encoder, with_salient_tokens
from huse.extract.encoders.replicas import CPU_BATCH, batch_size_here
from huse.extract.encoders.salient import SalientEncoder
from huse.extract.manifest.rows import Manifest
from huse.features.errors import EncoderError

NONE = "none"
"""The name of no class encoder."""


@dataclass(frozen=True)
class Choice:
    """What is handed in: names, objects, or None for what the config names.

    Attributes:
        image: of the images.
        text: of the texts.
        classes: of the class names; the name ``none`` for none.
    """

    image: str | ImageEncoder | None = None
    text: str | TextEncoder | None = None
    classes: str | TextEncoder | None = None

    def named(self, config: ExtractConfig) -> ExtractConfig:
        """A config that names them; an object as its spec does.

        Raises:
            EncoderError: one that learns has not.
        """
        return replace(
            config,
            image_encoder=_name(self.image, config.image_encoder),
            text_encoder=_name(self.text, config.text_encoder),
            class_encoder=_name(self.classes, config.class_encoder),
        )

    def objects(self) -> Choice:
        """Without the names, which `named` has put into a config."""
        return Choice(
            None if isinstance(self.image, str) else self.image,
            None if isinstance(self.text, str) else self.text,
            None if isinstance(self.classes, str) else self.classes,
        )


@dataclass(frozen=True)
class Encoders:
    """The encoders of a run; None for what is not to be encoded.

    Attributes:
        image: of the images.
        text: of the texts, fitted where it learns.
        classes: of the class names.
        made: those among them that were made for the run, by name.
    """

    image: ImageEncoder | None = None
    text: TextEncoder | None = None
    classes: TextEncoder | None = None
    made: tuple[object, ...] = ()

    def batch_size(self, wanted: int) -> int:
        """Images a batch: as wanted, or as the devices like, and a multiple of what the encoder takes at a time."""
        if self.image is None:
            return wanted or CPU_BATCH  # texts alone load no TensorFlow
        block = block_of(self.image)
        usual = self.image.batch_size if isinstance(self.image, Batching) else 0
        return -(-(wanted or usual or batch_size_here()) // block) * block

    def prove(self, batch_size: int) -> None:
        """Lets each encode something, so that one that cannot is known before a store is deleted."""
        if self.image is not None:  # a batch of the run's shape, for which the network is compiled anyway
            self.image.encode(np.zeros((self.batch_size(batch_size), *self.image.input_size, 3), np.uint8))
        for encoder in (self.text, self.classes):
            if encoder is not None:
                encoder.encode(["a"])

    def close(self) -> None:
        """Closes those that were made for the run; what was handed in belongs to whoever made it."""
        close_all(self.made)


def choose_encoders(
    manifest: Manifest,
    config: ExtractConfig,
    choice: Choice = Choice(),
    state: State = None,
    agreed: Arithmetic | None = None,
) -> Encoders:
    """The encoders that a manifest's columns and labels need.

    One that learns and has not yet does so from the texts of split train or none.

    Args:
        manifest: the rows.
        config: the names, for what is not handed in.
        choice: what is handed in.
        state: what the text encoder has learned; None to let it learn.
        agreed: the arithmetic of an image encoder that is made by name, where several machines make it.

    Raises:
        EncoderError: no such encoder, its weights cannot be read, or what is handed in is none.
    """
    image = _image(choice.image, config, agreed) if manifest.has_images else None
    text = _text(choice.text, config, state) if manifest.has_texts else None
    if isinstance(text, FittedEncoder) and text.state() is None:
        text.fit(row.text for row in manifest.iterate() if row.text and row.split in ("", "train"))
    classes = _classes(choice, config, text) if manifest.labels else None
    used = (image, choice.image), (text, choice.text), (None if classes is text else classes, choice.classes)
    made = tuple(encoder for encoder, given in used if encoder is not None and isinstance(given, str | None))
    return Encoders(image, text, classes, made)


def _name(given: str | ImageEncoder | TextEncoder | None, otherwise: str) -> str:
    if isinstance(given, str | None):
        return otherwise if given is None else given
    return given.spec.name


def _image(given: str | ImageEncoder | None, config: ExtractConfig, agreed: Arithmetic | None) -> ImageEncoder:
    if isinstance(given, str | None):
        return image_encoder(_name(given, config.image_encoder), config.image_weights, config.precision, agreed)
    require_encoder(given, "image")
    if config.image_weights is not None or config.precision != "auto":
        raise EncoderError(f"{given.spec.name}: is handed in with its weights; leave out image_weights and precision")
    return given


def _text(given: str | TextEncoder | None, config: ExtractConfig, state: State) -> TextEncoder:
    if isinstance(given, str | None):
        return text_encoder(with_salient_tokens(_name(given, config.text_encoder), config.salient_tokens), state)
    if not isinstance(given, FittedEncoder):  # one that has yet to learn has no spec
        require_encoder(given, "text")
    return SalientEncoder(str(config.salient_tokens), given) if config.salient_tokens else given


def _classes(choice: Choice, config: ExtractConfig, text: TextEncoder | None) -> TextEncoder | None:
    """The encoder of the class names; by the same name, it is the one of the texts."""
    if not isinstance(choice.classes, str | None):
        require_encoder(choice.classes, "text")
        return choice.classes
    name = _name(choice.classes, config.class_encoder)
    if name == NONE:
        return None
    same = isinstance(choice.text, str | None) and name == _name(choice.text, config.text_encoder)
    classes = text if same and text is not None else text_encoder(name)
    try:
        _ = classes.spec  # of one that learns and has not, there is none
    except EncoderError as error:
        raise EncoderError(f"class_encoder={name!r} (--class-encoder) cannot embed class names: {error}") from error
    return classes
