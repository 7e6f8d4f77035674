"""What limits stage 1 beside a GPU: `python -m benchmarks.accelerator [--images 2000] [--repeats 20] [--json]`.

The same JPEGs of 544 x 408 as `benchmarks.extract`, taken several times over. In every round each contestant takes
all of them once, in turn; images a second, medians of three rounds:

- decode: huse's decoder, from bytes in memory to pixels, a thread a core and two threads a core;
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
from itertools import chain, repeat
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
    with tempfile.TemporaryDirectory() as name:
        paths = make_images(unpack_emoji(Path(name) / "emoji"), Path(name), images)
        data = [path.read_bytes() for path in paths]
    total, forward = images * repeats // BATCH * BATCH, network()
    batch = np.stack(list(decoded(data[:BATCH], 1 + BATCH // images, cores)))[:BATCH]
    seconds: dict[str, list[float]] = {}
    busy = []

    def timed(contestant: str, act: Callable[[], object]) -> None:
        began = time.perf_counter()
        act()
        seconds.setdefault(contestant, []).append(time.perf_counter() - began)

    for _ in range(ROUNDS):
        timed("decode", lambda: sum(1 for _ in decoded(data, repeats, cores)))
        timed("decode_two_threads_a_core", lambda: sum(1 for _ in decoded(data, repeats, 2 * cores)))
        timed("network", lambda: [forward(batch) for _ in range(total // BATCH)])
        timed("both", lambda: busy.append(both(forward, decoded(data, repeats, 2 * cores))))
    medians = {contestant: statistics.median(taken) for contestant, taken in seconds.items()}
    rates = {f"{contestant}_per_s": total / taken for contestant, taken in medians.items()}
    share = statistics.median(busy) / medians["both"]
    return {"backend": keras.backend.backend(), "cores": cores, "images": total, **rates, "busy": share}


@click.command()
@click.option("--images", default=2000, show_default=True, help="JPEGs to make.")
@click.option("--repeats", default=20, show_default=True, help="How often each is taken in a round.")
@click.option("--json", "as_json", is_flag=True)
def main(images: int, repeats: int, as_json: bool) -> None:
    """Prints the figures."""
    show(measure(images, repeats), as_json)


if __name__ == "__main__":
    main()
