"""What limits stage 1 beside a GPU: `python -m benchmarks.accelerator [--images 2000] [--repeats 20] [--json]`.

The same JPEGs of 544 x 408 as `benchmarks.extract`, taken several times over. In every round each contestant takes
all of them once, in turn; images a second, medians of three rounds:

- one_thread, decode: huse's decoder, from bytes in memory to pixels, by one thread and by one a core;
- processes: the same by a process a core, none of which hands its pixels on: what the cores could do;
- network: VGG16 without its fully connected layers, averaged, in bfloat16, from pixels in memory to vectors in memory,
  in batches of 256;
- both: decoder and network side by side, as stage 1 runs them; `busy` is the share of the time that the network had
  pixels to work on.

The network is that of keras.applications, by whatever backend Keras has: where TensorFlow sees no GPU and JAX does, set
KERAS_BACKEND=jax.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, repeat
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import keras
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import show
from benchmarks.photos import make_images
from huse.demo.emoji import unpack_emoji
from huse.extract.images.decoding import MAX_PIXELS, decode_image
from huse.extract.readers import Readers

SIZE = (224, 224)
BATCH, ROUNDS = 256, 3

Pixels = NDArray[np.uint8]


def network() -> Callable[[Pixels], NDArray[np.float32]]:
    """VGG16 in bfloat16, compiled for one batch size, with weights drawn at random, which take as long as any."""
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    pixels = keras.Input((*SIZE, 3), dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    body = keras.applications.VGG16(include_top=False, weights=None, input_shape=(*SIZE, 3), pooling="avg")
    model = keras.Model(pixels, body(scaled))
    model.compile(jit_compile=keras.backend.backend() == "jax")

    def forward(batch: Pixels) -> NDArray[np.float32]:
        return np.asarray(model.predict_on_batch(batch), np.float32)

    forward(np.zeros((BATCH, *SIZE, 3), np.uint8))
    return forward


def decoded(data: list[bytes], repeats: int, threads: int) -> Iterator[Pixels]:
    """The images, in order, decoded some batches ahead."""
    with Readers(threads) as readers:
        every = chain.from_iterable(repeat(data, repeats))
        yield from readers.ordered(lambda one: decode_image(one, SIZE, MAX_PIXELS, False), every, 2 * BATCH)


def decode_some(paths: list[Path], repeats: int) -> None:
    """What a process of its own does."""
    for path in paths:
        data = path.read_bytes()
        for _ in range(repeats):
            decode_image(data, SIZE, MAX_PIXELS, False)


def both(forward: Callable[[Pixels], object], images: Iterator[Pixels]) -> float:
    """Encodes the images as they come; returns the seconds that the network took."""
    busy, batch = 0.0, np.zeros((BATCH, *SIZE, 3), np.uint8)
    for at, pixels in enumerate(images):
        batch[at % BATCH] = pixels
        if at % BATCH == BATCH - 1:
            began = time.perf_counter()
            forward(batch)
            busy += time.perf_counter() - began
    return busy


def measure(images: int, repeats: int) -> dict[str, float | int | str]:
    """All figures."""
    cores = len(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(cores, get_context("spawn")) as processes,
    ):
        paths = make_images(unpack_emoji(Path(name) / "emoji"), Path(name), images)
        data = [path.read_bytes() for path in paths]
        total, forward = images * repeats // BATCH * BATCH, network()
        batch = np.stack(list(decoded(data[:BATCH], 1 + BATCH // images, cores)))[:BATCH]
        busy: list[float] = []
        contestants: dict[str, Callable[[], object]] = {
            "one_thread": lambda: sum(1 for _ in decoded(data, max(repeats // cores, 1), 1)),
            "decode": lambda: sum(1 for _ in decoded(data, repeats, cores)),
            "processes": lambda: list(
                processes.map(decode_some, [paths[i::cores] for i in range(cores)], repeat(repeats))
            ),
            "network": lambda: [forward(batch) for _ in range(total // BATCH)],
            "both": lambda: busy.append(both(forward, decoded(data, repeats, cores))),
        }
        contestants["processes"]()  # starts them
        seconds: dict[str, list[float]] = {contestant: [] for contestant in contestants}
        for _ in range(ROUNDS):
            for contestant, once in contestants.items():
                began = time.perf_counter()
                once()
                seconds[contestant].append(time.perf_counter() - began)
    medians = {contestant: statistics.median(taken) for contestant, taken in seconds.items()}
    done = dict.fromkeys(contestants, images * repeats) | {
        "one_thread": images * max(repeats // cores, 1),
        "network": total,
    }
    rates = {f"{contestant}_per_s": done[contestant] / taken for contestant, taken in medians.items()}
    share = statistics.median(busy) / medians["both"]
    return {"backend": keras.backend.backend(), "cores": cores, "images": images * repeats, **rates, "busy": share}


@click.command()
@click.option("--images", default=2000, show_default=True, help="JPEGs to make.")
@click.option("--repeats", default=20, show_default=True, help="How often each is taken in a round.")
@click.option("--json", "as_json", is_flag=True)
def main(images: int, repeats: int, as_json: bool) -> None:
    """Prints the figures."""
    show(measure(images, repeats), as_json)


if __name__ == "__main__":
    main()
