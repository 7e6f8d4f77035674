"""Every model of `keras.applications`, by its name in lower case, and the fully connected layers of VGG16."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders.names import sized
from huse.extract.encoders.precision import keras_dtype, under_policy
from huse.extract.encoders.replicas import Replicas
from huse.extract.images import decoding
from huse.features.encoder_spec import EncoderSpec, digest_arrays
from huse.features.errors import EncoderError


@dataclass(frozen=True)
class Application:
    """One model: its function, the module with its preprocessing, length of its average, and side of its images."""

    function: str
    module: str
    dimension: int
    side: int


APPLICATIONS = {
    "convnextbase": Application("ConvNeXtBase", "convnext", 1024, 224),
    "convnextlarge": Application("ConvNeXtLarge", "convnext", 1536, 224),
    "convnextsmall": Application("ConvNeXtSmall", "convnext", 768, 224),
    "convnexttiny": Application("ConvNeXtTiny", "convnext", 768, 224),
    "convnextxlarge": Application("ConvNeXtXLarge", "convnext", 2048, 224),
    "densenet121": Application("DenseNet121", "densenet", 1024, 224),
    "densenet169": Application("DenseNet169", "densenet", 1664, 224),
    "densenet201": Application("DenseNet201", "densenet", 1920, 224),
    "efficientnetb0": Application("EfficientNetB0", "efficientnet", 1280, 224),
    "efficientnetb1": Application("EfficientNetB1", "efficientnet", 1280, 240),
    "efficientnetb2": Application("EfficientNetB2", "efficientnet", 1408, 260),
    "efficientnetb3": Application("EfficientNetB3", "efficientnet", 1536, 300),
    "efficientnetb4": Application("EfficientNetB4", "efficientnet", 1792, 380),
    "efficientnetb5": Application("EfficientNetB5", "efficientnet", 2048, 456),
    "efficientnetb6": Application("EfficientNetB6", "efficientnet", 2304, 528),
    "efficientnetb7": Application("EfficientNetB7", "efficientnet", 2560, 600),
    "efficientnetv2b0": Application("EfficientNetV2B0", "efficientnet_v2", 1280, 224),
    "efficientnetv2b1": Application("EfficientNetV2B1", "efficientnet_v2", 1280, 240),
    "efficientnetv2b2": Application("EfficientNetV2B2", "efficientnet_v2", 1408, 260),
    "efficientnetv2b3": Application("EfficientNetV2B3", "efficientnet_v2", 1536, 300),
    "efficientnetv2l": Application("EfficientNetV2L", "efficientnet_v2", 1280, 480),
    "efficientnetv2m": Application("EfficientNetV2M", "efficientnet_v2", 1280, 480),
    "efficientnetv2s": Application("EfficientNetV2S", "efficientnet_v2", 1280, 384),
    "inceptionresnetv2": Application("InceptionResNetV2", "inception_resnet_v2", 1536, 299),
    "inceptionv3": Application("InceptionV3", "inception_v3", 2048, 299),
    "mobilenet": Application("MobileNet", "mobilenet", 1024, 224),
    "mobilenetv2": Application("MobileNetV2", "mobilenet_v2", 1280, 224),
    "mobilenetv3large": Application("MobileNetV3Large", "mobilenet_v3", 960, 224),
    "mobilenetv3small": Application("MobileNetV3Small", "mobilenet_v3", 576, 224),
    "nasnetlarge": Application("NASNetLarge", "nasnet", 4032, 331),
    "nasnetmobile": Application("NASNetMobile", "nasnet", 1056, 224),
    "resnet101": Application("ResNet101", "resnet", 2048, 224),
    "resnet101v2": Application("ResNet101V2", "resnet_v2", 2048, 224),
    "resnet152": Application("ResNet152", "resnet", 2048, 224),
    "resnet152v2": Application("ResNet152V2", "resnet_v2", 2048, 224),
    "resnet50": Application("ResNet50", "resnet50", 2048, 224),
    "resnet50v2": Application("ResNet50V2", "resnet_v2", 2048, 224),
    "vgg16": Application("VGG16", "vgg16", 512, 224),
    "vgg19": Application("VGG19", "vgg19", 512, 224),
    "xception": Application("Xception", "xception", 2048, 299),
}

LAYERS = {"vgg16": ("fc1", "fc2"), "vgg19": ("fc1", "fc2")}
"""Layers that can be asked for in place of the average over places."""


class ApplicationEncoder:
    """Global average of a network without its top, or one of its `LAYERS`, with the network's own preprocessing.

    Args:
        name: of `APPLICATIONS`.
        layer: empty, or one of `LAYERS`, which needs the weights with the top.
        weights: a local Keras weights file; ImageNet's are downloaded by Keras without it.
        precision: arithmetic.
        side: of the images in pixels, where it is not the network's own; `LAYERS` take that alone.

    Raises:
        EncoderError: no such layer, or no weights.
    """

    def __init__(self, name: str, layer: str, weights: Path | None, precision: str, side: int | None = None) -> None:
        self.application = APPLICATIONS[name]
        allowed = LAYERS.get(name, ())
        if layer and layer not in allowed:
            known = f"it has {', '.join(allowed)}; huse encoders lists all names" if allowed else f"write {name}"
            raise EncoderError(f"no layer {layer!r} of {name}; {known}")
        if layer and side:
            raise EncoderError(f"layer {layer} of {name} takes images of one size; write {name}:{layer}")
        side = None if side == self.application.side else side
        self.name = sized(name, side, layer)
        self.layer = layer
        self._side = side or self.application.side
        self._weights = weights
        self._precision = precision

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the images that it takes."""
        return self._side, self._side

    @cached_property
    def spec(self) -> EncoderSpec:
        """The spec; equal weights give an equal spec whatever file they come from."""
        side = self._side
        end = f"layer {self.layer}" if self.layer else "global average"
        preprocessing = f"{decoding.PREPROCESSING} to {side} x {side}; keras {self.application.module}; {end}"
        return EncoderSpec(self.name, "image", self._dimension, preprocessing, digest_arrays(self._arrays))

    @property
    def _dimension(self) -> int:
        return 4096 if self.layer else self.application.dimension

    @cached_property
    def _arrays(self) -> list[NDArray[np.float32]]:
        try:
            loaded = self._network("imagenet" if self._weights is None else str(self._weights)).get_weights()
        except (OSError, ValueError, KeyError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            where = self._weights or "the weights that Keras downloads"
            raise EncoderError(
                f"{self.name}: {where} cannot be used ({reason}); name a file by image_weights (--image-weights)"
            ) from error
        return [np.asarray(array, np.float32) for array in loaded]

    def _network(self, weights: str | None) -> Any:
        import keras

        make = vars(keras.applications)[self.application.function]
        if self.layer:
            return make(weights=weights)
        return make(weights=weights, include_top=False, pooling="avg", input_shape=(*self.input_size, 3))

    @cached_property
    def _replicas(self) -> Replicas:
        return Replicas(self._build)

    def graph(self) -> tuple[Callable[[Any], Any], list[Any]]:
        """See `Traceable`."""
        return self._forward("float32")

    def _build(self) -> Callable[[NDArray[np.uint8]], Any]:
        return self._forward(self._precision)[0]

    def _forward(self, precision: str) -> tuple[Callable[[Any], Any], list[Any]]:
        import keras
        import tensorflow as tf

        with under_policy(keras_dtype(precision)):
            network = self._network(None)
        network.set_weights(self._arrays)
        if self.layer:
            network = keras.Model(network.input, network.get_layer(self.layer).output)
        prepare = vars(keras.applications)[self.application.module].preprocess_input

        @tf.function(input_signature=[tf.TensorSpec((None, *self.input_size, 3), tf.uint8)])
        def forward(pixels: tf.Tensor) -> tf.Tensor:
            return tf.cast(network(prepare(tf.cast(pixels, tf.float32)), training=False), tf.float32)

        return forward, [network]

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, side, side, 3) RGB pixels to (n, dimension) vectors."""
        return self._replicas(pixels)
