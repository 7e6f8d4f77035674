"""What preprocessor_config.json asks for, as the image processors of transformers do it.

Resizing and cutting are data for whoever decodes images; rescaling and normalizing are done here, in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders.onnx.files import ModelFiles
from huse.extract.images.framing import Framing, Resampling
from huse.features.errors import EncoderError

CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
"""Means and deviations that transformers has names for."""

MOST = 4096
"""Longest side that is asked for."""


def _usual(
    size: dict[str, int], resample: int, crop: bool, scale: tuple[tuple[float, ...], tuple[float, ...]]
) -> dict[str, Any]:
    steps = {"do_resize": True, "do_center_crop": crop, "do_rescale": True, "do_normalize": True}
    of_crop = {"crop_size": {"height": 224, "width": 224}} if crop else {}
    return {**steps, **of_crop, "size": size, "resample": resample, "image_mean": scale[0], "image_std": scale[1]}


SHORTER, SQUARE = {"shortest_edge": 224}, {"height": 224, "width": 224}

PROCESSORS: Mapping[str, dict[str, Any]] = {
    "BeitImageProcessor": _usual({"height": 256, "width": 256}, 3, True, HALF),
    "BitImageProcessor": _usual(SHORTER, 3, True, CLIP),
    "BlipImageProcessor": _usual({"height": 384, "width": 384}, 3, False, CLIP),
    "ChineseCLIPImageProcessor": _usual(SHORTER, 3, True, CLIP),
    "CLIPImageProcessor": _usual(SHORTER, 3, True, CLIP),
    "DeiTImageProcessor": _usual({"height": 256, "width": 256}, 3, True, HALF),
    "MobileNetV1ImageProcessor": _usual({"shortest_edge": 256}, 2, True, HALF),
    "MobileNetV2ImageProcessor": _usual({"shortest_edge": 256}, 2, True, HALF),
    "SiglipImageProcessor": _usual(SQUARE, 3, False, HALF),
    "ViTImageProcessor": _usual(SQUARE, 2, False, HALF),
}
"""Defaults by type, where a file lacks a key."""

KNOWN = {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"}
"""Steps that can be asked for; huse's images are RGB anyway."""

FACTOR = 1 / 255

LARGEST = 1e30
"""What is no number, or beyond this, can be no setting."""


@dataclass(frozen=True)
class Preprocessing:
    """How images become what a network takes.

    Attributes:
        framing: up to 8-bit RGB pixels.
        factor: by which these are multiplied; 1 for not at all.
        mean: a color, then taken off.
        deviation: a color, by which then is divided.
    """

    framing: Framing
    factor: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __call__(self, pixels: NDArray[np.uint8], channels_first: bool) -> NDArray[np.float32]:
        """(n, height, width, 3) pixels to float32 values, (n, 3, height, width) with the channels first."""
        axes, shape = ((0, 3, 1, 2), (3, 1, 1)) if channels_first else ((0, 1, 2, 3), (3,))
        values: NDArray[np.float32] = np.multiply(
            pixels.transpose(axes), np.float32(self.factor), order="C", dtype=np.float32
        )
        values -= np.array(self.mean, np.float32).reshape(shape)
        values /= np.array(self.deviation, np.float32).reshape(shape)
        return values

    def __str__(self) -> str:
        """In words, for the spec."""
        return f"{self.framing}; times {self.factor:.9g}, minus {list(self.mean)}, by {list(self.deviation)}"


def preprocessing_of(files: ModelFiles) -> Preprocessing:
    """The preprocessing of a model of images.

    Raises:
        EncoderError: its settings are missing, ask for more than is known here, or make no sense.
    """
    name, told = _told(files)
    where = str(files.settings.get(name, ""))
    kind = str(told.get("image_processor_type") or told.get("feature_extractor_type") or "")
    kind = kind.removesuffix("Fast").replace("FeatureExtractor", "ImageProcessor")
    if kind and kind not in PROCESSORS:
        raise EncoderError(f"{where}: {kind} does more than huse knows; it knows {', '.join(PROCESSORS)}")
    more = sorted(key for key, value in told.items() if key.startswith("do_") and value and key not in KNOWN)
    if more:
        raise EncoderError(f"{where}: asks for {', '.join(more)}, which huse does not do; take a model without")
    settings = _Settings(where, {**PROCESSORS.get(kind, {}), **{k: v for k, v in told.items() if v is not None}}, kind)
    factor = settings.number("rescale_factor", FACTOR) if settings.flag("do_rescale") else 1.0
    normalize = settings.flag("do_normalize")
    mean, deviation = (
        (settings.colors(key) for key in ("image_mean", "image_std")) if normalize else ((0.0,) * 3, (1.0,) * 3)
    )
    if 0 in deviation:
        raise EncoderError(f"{where}: image_std has a 0, by which nothing can be divided")
    return Preprocessing(_framing(settings), factor, mean, deviation)


def _told(files: ModelFiles) -> tuple[str, dict[str, Any]]:
    """The file with the settings of images, and these."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        told = files.json(name)
        told = told.get("image_processor", told if name.startswith("pre") else {})
        if isinstance(told, dict) and told:
            return name, told
    raise EncoderError(
        f"onnx:{files.place}: has no preprocessor_config.json, which tells how its images are prepared; save it there "
        "by AutoImageProcessor.from_pretrained(NAME).save_pretrained(FOLDER)"
    )


@dataclass(frozen=True)
class _Settings:
    """Settings with their defaults; what is wrong with one is told by its key."""

    where: str
    values: Mapping[str, Any]
    kind: str

    def wrong(self, key: str, what: str) -> EncoderError:
        return EncoderError(f"{self.where}: {key} is {self.values.get(key)!r}, {what}")

    def value(self, key: str) -> Any:
        if key not in self.values:
            raise EncoderError(f"{self.where}: has no {key}, and no image_processor_type that has a default; add it")
        return self.values[key]

    def flag(self, key: str) -> bool:
        value = self.values.get(key, key != "do_center_crop")
        if not isinstance(value, bool):
            raise self.wrong(key, "not true or false")
        return value

    def number(self, key: str, otherwise: float) -> float:
        value = self.values.get(key, otherwise)
        if not _is_number(value):
            raise self.wrong(key, "not a number")
        return float(value)

    def colors(self, key: str) -> tuple[float, ...]:
        value = self.value(key)
        several = list(value) if isinstance(value, list | tuple) else [value] * 3
        if len(several) != 3 or not all(map(_is_number, several)):
            raise self.wrong(key, "not a number for each of three colors")
        return tuple(map(float, several))

    def size(self, key: str, square: bool) -> tuple[int, int] | int:
        """(height, width), or the shorter side."""
        value = self.value(key)
        value = (
            ({"height": value, "width": value} if square else {"shortest_edge": value}) if _is_side(value) else value
        )
        if isinstance(value, list | tuple) and len(value) == 2:
            value = {"height": value[0], "width": value[1]}
        if not (isinstance(value, dict) and all(map(_is_side, value.values()))):
            raise self.wrong(key, f"not a number of pixels from 1 to {MOST}, or two of them")
        if value.keys() == {"height", "width"}:
            return value["height"], value["width"]
        if value.keys() == {"shortest_edge"}:
            return int(value["shortest_edge"])
        raise self.wrong(key, "which is known by height and width, or shortest_edge, alone")


def _framing(settings: _Settings) -> Framing:
    square = PROCESSORS.get(settings.kind, {}).get("size", {}).keys() != SHORTER.keys() and bool(settings.kind)
    resize = settings.size("size", square) if settings.flag("do_resize") else None
    crop = settings.size("crop_size", True) if settings.flag("do_center_crop") else resize
    if isinstance(crop, int):
        crop = (crop, crop) if settings.flag("do_center_crop") else None
    if crop is None:
        raise EncoderError(
            f"{settings.where}: leaves images of many sizes, as it asks for no center crop and no height and width; "
            "give size a height and a width"
        )
    resample = settings.value("resample") if resize is not None else Resampling.BILINEAR
    if isinstance(resample, bool) or not isinstance(resample, int) or resample not in set(Resampling):
        raise settings.wrong("resample", f"not one of Pillow's filters, 0 to {max(Resampling)}")
    return Framing(crop, resize, Resampling(resample))


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
