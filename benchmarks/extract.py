"""Stage 1 against its own encoders, and against a naive script: `python -m benchmarks.extract`.

Images are JPEGs of 544 x 408 made of the bundled emoji. In every round each contestant takes them once, in turn; the
figures are medians over rounds. All of them are warmed up first, so that building and compiling the network, which
takes the same few seconds for one image and for a million, is in none.

- forward: the encoder alone, on pixels that are in memory;
- direct, winograd: the same by each of the two ways, whatever this processor's is;
- huse: `extract_features`, from the files to the store;
- naive: Pillow, `model.predict` in batches of 32, and an HDF5 data set that grows, in float32.

With an encoder by name, that alone, as `benchmarks.named` has it: `--image-encoder onnx:vit-b-32`.

Memory is the peak of a process of its own that extracts 1,000 or 10,000 rows with a small network.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import keras
import numpy as np
from PIL import Image

from benchmarks.figures import peak_mib, show
from benchmarks.named import measure_named
from benchmarks.photos import make_images
from huse.demo.emoji import unpack_emoji
from huse.extract.config import ExtractConfig
from huse.extract.encoders import ImageEncoder, TextEncoder, image_encoder, text_encoder
from huse.extract.encoders.precision import has_native_bfloat16
from huse.extract.encoders.replicas import batch_size_here
from huse.extract.encoders.vgg16 import VGG16Encoder, load_weights
from huse.extract.extract import extract_features
from huse.extract.manifest.rows import read_manifest
from huse.features.processor import AMX, cpu_flags

NAIVE_BATCH = 32
SMALL = "mobilenetv3small"
FEW, MANY = 1_000, 10_000
TIMES = 3
"""How often the captions are encoded in a run, so that it lasts some seconds."""


def manifest_of(paths: Sequence[Path], rows: int, out: Path) -> Path:
    """A manifest of so many rows, which take the images in turn."""
    lines = [f"{i},{paths[i % len(paths)].name}" for i in range(rows)]
    out.write_text("\n".join(["key,image", *lines]) + "\n", encoding="utf-8")
    return out


def forward(encoder: ImageEncoder, count: int) -> float:
    """Seconds of the encoder alone for so many images."""
    batch = batch_size_here()
    pixels = np.random.default_rng(0).integers(0, 256, (batch, *encoder.input_size, 3), np.uint8)
    began = time.perf_counter()
    for _ in range(-(-count // batch)):
        encoder.encode(pixels)
    return (time.perf_counter() - began) * count / (-(-count // batch) * batch)


def huse(encoder: ImageEncoder, manifest: Path) -> float:
    """Seconds from the files to a store, with an encoder that is warm."""
    with tempfile.TemporaryDirectory(dir=manifest.parent) as folder:
        began = time.perf_counter()
        extract_features(manifest, Path(folder) / "store", image_encoder=encoder)
        return time.perf_counter() - began


def naive(network: Any, paths: Sequence[Path], folder: Path) -> float:
    """Seconds of what one writes in ten minutes."""
    out = folder / "naive.h5"
    began = time.perf_counter()
    with h5py.File(out, "w") as file:
        features = file.create_dataset("features", (0, 512), maxshape=(None, 512), dtype="float32")
        for start in range(0, len(paths), NAIVE_BATCH):
            batch = []
            for path in paths[start : start + NAIVE_BATCH]:
                batch.append(np.asarray(Image.open(path).convert("RGB").resize((224, 224)), np.float32))
            inputs = keras.applications.vgg16.preprocess_input(np.stack(batch))
            vectors = network.predict(inputs, verbose=0)
            features.resize(len(features) + len(vectors), axis=0)
            features[-len(vectors) :] = vectors
    return time.perf_counter() - began


def naive_network() -> Any:
    """Keras's VGG16 with our weights, as the naive script would load it."""
    network = keras.applications.VGG16(include_top=False, weights=None, pooling="avg", input_shape=(224, 224, 3))
    network.set_weights(load_weights())
    return network


def texts(encoder: TextEncoder, emoji: Path, folder: Path) -> tuple[float, float]:
    """Seconds of the text encoder alone, and of stage 1 with it, for the captions of the emoji, several times."""
    captions = TIMES * [row.text for row in read_manifest(emoji).rows()]
    manifest = folder / "texts.csv"
    manifest.write_text("text\n" + "\n".join(json.dumps(c).replace('\\"', '""') for c in captions) + "\n")
    began = time.perf_counter()
    encoder.encode(captions)
    alone = time.perf_counter() - began
    with tempfile.TemporaryDirectory(dir=folder) as target:
        began = time.perf_counter()
        extract_features(manifest, Path(target) / "store", text_encoder=encoder)
        return alone, time.perf_counter() - began


def peak_memory(manifest: Path, weights: Path) -> float:
    """MiB at the peak of a process that extracts a manifest with a small network."""
    command = [sys.executable, "-m", "benchmarks.extract", "--child", str(manifest), str(weights)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def child(manifest: str, weights: str) -> None:
    """Extracts, and prints the peak of this process's memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        config = ExtractConfig(image_encoder=SMALL, image_weights=Path(weights))
        extract_features(manifest, Path(folder) / "store", config)
    print(peak_mib())


def measure(count: int, rounds: int, memory: bool) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        emoji = unpack_emoji(folder / "emoji")
        paths = make_images(emoji, folder, count)
        manifest = manifest_of(paths, count, folder / "m.csv")
        auto, exact, network = image_encoder("vgg16"), image_encoder("vgg16", precision="float32"), naive_network()
        words = text_encoder("use")
        ways = {"direct": VGG16Encoder(winograd=False), "winograd": VGG16Encoder(winograd=True)}
        contestants: dict[str, Callable[[], float]] = {
            "forward": lambda: forward(auto, count),
            **{name: partial(forward, encoder, count) for name, encoder in ways.items()},
            "huse": lambda: huse(auto, manifest),
            "forward_float32": lambda: forward(exact, count),
            "huse_float32": lambda: huse(exact, manifest),
            "naive": lambda: naive(network, paths, folder),
        }
        warm_up([auto, exact, *ways.values()], network, words)
        seconds: dict[str, list[float]] = {contestant: [] for contestant in contestants}
        text_seconds = []
        for _ in range(rounds):
            for contestant, once in contestants.items():
                seconds[contestant].append(once())
            text_seconds.append(texts(words, emoji, folder))
        result = ratios(seconds, text_seconds, count)
        if memory:
            result |= memory_figures(paths, folder)
    return result


def warm_up(encoders: Sequence[ImageEncoder], network: Any, words: TextEncoder) -> None:
    """Builds and compiles every network."""
    pixels = np.zeros((batch_size_here(), 224, 224, 3), np.uint8)
    for encoder in encoders:
        encoder.encode(pixels)
    network.predict(np.zeros((NAIVE_BATCH, 224, 224, 3), np.float32), verbose=0)
    words.encode(["warm"])


def ratios(seconds: dict[str, list[float]], text_seconds: list[tuple[float, float]], count: int) -> dict[str, Any]:
    """Medians over rounds, of rates and of ratios within a round."""
    pairs = {
        "ratio_forward": ("forward", "huse"),
        "ratio_forward_float32": ("forward_float32", "huse_float32"),
        "ratio_naive": ("naive", "huse"),
        "ratio_naive_float32": ("naive", "huse_float32"),
    }
    result: dict[str, Any] = {"images": count, "bfloat16_is_native": has_native_bfloat16(), "amx": cpu_flags() >= AMX}
    result |= {f"{name}_per_s": count / statistics.median(values) for name, values in seconds.items()}
    for name, (above, below) in pairs.items():
        result[name] = statistics.median(a / b for a, b in zip(seconds[above], seconds[below], strict=True))
    rounds = zip(seconds["direct"], seconds["winograd"], seconds["huse"], strict=True)
    result["ratio_fastest"] = statistics.median(min(direct, winograd) / huse for direct, winograd, huse in rounds)
    result["ratio_text"] = statistics.median(alone / whole for alone, whole in text_seconds)
    return result


def memory_figures(paths: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Peak memory at few and at many rows."""
    network = keras.applications.MobileNetV3Small(
        include_top=False, weights=None, pooling="avg", input_shape=(224, 224, 3)
    )
    weights = folder / "small.weights.h5"
    network.save_weights(weights)
    few, many = (peak_memory(manifest_of(paths, n, folder / f"{n}.csv"), weights) for n in (FEW, MANY))
    return {f"mib_at_{FEW}": few, f"mib_at_{MANY}": many, "memory_ratio": many / few}


def main() -> None:
    """Prints a table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--images", type=int, default=500, help="JPEGs of 544 x 408 (default 500)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all contestants (default 3)")
    parser.add_argument("--no-memory", action="store_true", help="leave out the 11,000 rows that measure memory")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--image-encoder", metavar="NAME", help="this one alone; onnx:vit-b-32 is made here")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    if options.image_encoder:
        show(measure_named(options.image_encoder, options.images, options.rounds), options.json)
        return
    result = measure(options.images, options.rounds, not options.no_memory)
    show(result, options.json)


if __name__ == "__main__":
    main()
