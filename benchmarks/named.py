"""Stage 1 with an image encoder by name: `python -m benchmarks.extract --image-encoder NAME`.

- forward: the encoder alone, on pixels that are in memory;
- runtime: of an ONNX model, ONNX Runtime alone on the values of a batch, with its own settings and all processors;
- huse: `extract_features`, from the files to the store.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.photos import make_images
from benchmarks.vit import write_vit
from huse.demo.emoji import unpack_emoji
from huse.extract.encoders import ImageEncoder, image_encoder
from huse.extract.extract import extract_features
from huse.extract.run_encoders import Encoders

RANDOM = {"onnx:vit-b-32": 32, "onnx:vit-b-16": 16}
"""Models that are made here, with random weights, and the side of their patches."""

PREFIX = "onnx:"


def measure_named(name: str, count: int, rounds: int) -> dict[str, Any]:
    """All figures of one encoder."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if name in RANDOM:
            name = f"{PREFIX}{write_vit(folder / 'vit', RANDOM[name])}"
        paths = make_images(unpack_emoji(folder / "emoji"), folder, count)
        encoder = image_encoder(name)
        batch = Encoders(encoder).batch_size(0)
        contestants: dict[str, Callable[[], float]] = {
            "forward": lambda: _forward(encoder, batch, count),
            "huse": lambda: _huse(encoder, paths),
        }
        if name.startswith(PREFIX):
            contestants["runtime"] = _runtime(name, encoder, batch, count)
        encoder.encode(np.zeros((batch, *encoder.input_size, 3), np.uint8))
        seconds: dict[str, list[float]] = {contestant: [] for contestant in contestants}
        for _ in range(rounds):
            for contestant, once in contestants.items():
                seconds[contestant].append(once())
    result: dict[str, Any] = {"images": count, "batch": batch}
    result |= {f"{contestant}_per_s": count / statistics.median(found) for contestant, found in seconds.items()}
    for contestant in seconds.keys() - {"huse"}:
        pairs = zip(seconds[contestant], seconds["huse"], strict=True)
        result[f"ratio_{contestant}"] = statistics.median(alone / whole for alone, whole in pairs)
    return result


def _forward(encoder: ImageEncoder, batch: int, count: int) -> float:
    pixels = np.random.default_rng(0).integers(0, 256, (batch, *encoder.input_size, 3), np.uint8)
    began = time.perf_counter()
    for _ in range(-(-count // batch)):
        encoder.encode(pixels)
    return time.perf_counter() - began


def _huse(encoder: ImageEncoder, paths: Sequence[Path]) -> float:
    with tempfile.TemporaryDirectory(dir=paths[0].parent) as folder:
        manifest = paths[0].parent / "m.csv"
        manifest.write_text("\n".join(["image", *(path.name for path in paths)]) + "\n", encoding="utf-8")
        began = time.perf_counter()
        extract_features(manifest, Path(folder) / "store", image_encoder=encoder)
        return time.perf_counter() - began


def _runtime(name: str, encoder: ImageEncoder, batch: int, count: int) -> Callable[[], float]:
    """ONNX Runtime as its own documentation starts it."""
    import onnxruntime

    place = Path(name.removeprefix(PREFIX).partition("#")[0])
    found = [place] if place.is_file() else [*place.glob("onnx/vision_model.onnx"), *place.rglob("model.onnx")]
    session = onnxruntime.InferenceSession(str(found[0]), providers=onnxruntime.get_available_providers())
    values = np.random.default_rng(0).normal(size=(batch, 3, *encoder.input_size)).astype(np.float32)

    def once() -> float:
        began = time.perf_counter()
        for _ in range(-(-count // batch)):
            session.run(None, {session.get_inputs()[0].name: values})
        return time.perf_counter() - began

    once()
    return once
