"""What limits stage 1 beside a GPU: `python -m benchmarks.accelerator [--images 2000] [--repeats 20] [--json]`.

The same JPEGs of 544 x 408 as `benchmarks.extract`, taken several times over. In every round each contestant takes
all of them once, in turn; images a second, medians of three rounds:

- one_thread, threads: huse's decoder, from bytes in memory to pixels, by one thread and by one a core;
- decode: the same by a process a core, in groups, as stage 1 does it where there are many cores;
- processes: the same where no process hands its pixels on: what the cores could do;
- float32, bfloat16, float16: VGG16 as `huse extract` runs it, from pixels in memory to vectors in memory, in batches
  of 256, or of 32 without a GPU. Beside it is its share of the peak: the rate of one large product in the same type
  (float32 on a GPU is TensorFlow's, so TF32 where the GPU has it); Winograd's way takes fewer operations than counted;
- both: `decode` and the network (auto) side by side, as in stage 1; `busy` is the share of the time that the network
  had pixels to work on.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain, repeat
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import show
from benchmarks.machine import matmul_gflops
from benchmarks.photos import make_images
from huse.demo.emoji import unpack_emoji
from huse.extract.encoders.replicas import batch_size_here
from huse.extract.encoders.vgg16 import LAYERS, VGG16Encoder, load_weights
from huse.extract.image_batch import ImageBatch
from huse.extract.images.decoders import Decoders
from huse.extract.images.decoding import MAX_PIXELS, decode_image
from huse.extract.images.framing import Framing
from huse.extract.pipeline import IMAGES_A_STEP
from huse.extract.readers import Readers
from huse.features.processor import processors

SIZE = (224, 224)
HOW = Framing.whole(SIZE), MAX_PIXELS, False
ROUNDS = 3
PRECISIONS = ("float32", "bfloat16", "float16")

Pixels = NDArray[np.uint8]
Forward = Callable[[Pixels], NDArray[np.float32]]


def network(precision: str) -> Forward:
    """VGG16's averages, compiled for the batch size of this machine."""
    encoder = VGG16Encoder(precision=precision)
    encoder.encode(np.zeros((batch_size_here(), *SIZE, 3), np.uint8))
    return encoder.encode


def flops_an_image() -> int:
    """Multiplications and additions of VGG16's convolutions."""
    kernels, side, flops = iter(load_weights()[::2]), SIZE[0], 0
    for _, count in LAYERS:
        flops += sum(2 * side * side * next(kernels).size for _ in range(count))
        side //= 2
    return flops


def by_threads(data: list[bytes], repeats: int, threads: int) -> int:
    """Decodes the images; returns how many."""
    with Readers(threads) as readers:
        every = chain.from_iterable(repeat(data, repeats))
        return sum(1 for _ in readers.ordered(lambda one: decode_image(one, *HOW), every, 2 * batch_size_here()))


def in_groups(data: list[bytes], repeats: int, cores: int) -> Iterator[Pixels]:
    """The images, in order, decoded some batches ahead by a process a core."""
    groups = [data[at : at + IMAGES_A_STEP] for at in range(0, len(data), IMAGES_A_STEP)]
    with Readers(2 * cores) as readers, Decoders(cores, few=0) as decoders:
        every = chain.from_iterable(repeat(groups, repeats))
        for pixels, _ in readers.ordered(lambda group: decoders.decode(group, *HOW), every, 2 * batch_size_here(), len):
            yield pixels


def decode_some(paths: list[Path], repeats: int) -> None:
    """What a process of its own does."""
    for path in paths:
        data = path.read_bytes()
        for _ in range(repeats):
            decode_image(data, *HOW)


def both(forward: Forward, images: Iterator[Pixels]) -> float:
    """Encodes the images as they come; returns the seconds that the network took."""
    busy, batch = 0.0, ImageBatch(batch_size_here())
    for group in images:
        done = 0
        while done < len(group):
            done += batch.add(range(done, len(group)), group[done:])
            if batch.is_full:
                began = time.perf_counter()
                forward(batch.take()[1])
                busy += time.perf_counter() - began
    return busy


def contestants(
    paths: list[Path], repeats: int, processes: ProcessPoolExecutor, busy: list[float]
) -> dict[str, tuple[int, Callable[[], object]]]:
    """How many images each takes in a round, and how."""
    cores, size = processors(), batch_size_here()
    data = [path.read_bytes() for path in paths]
    images = len(paths)
    few, most, whole = max(repeats // cores, 1), images * repeats, -(-images * repeats // size)
    batch = np.resize(np.stack([decode_image(one, *HOW) for one in data[:size]]), (size, *SIZE, 3))
    parts = [paths[i::cores] for i in range(cores)]
    forwards = {precision: network(precision) for precision in PRECISIONS}
    auto = network("auto")

    def passes(forward: Forward) -> None:
        for _ in range(whole):
            forward(batch)

    return {
        "one_thread": (images * few, lambda: by_threads(data, few, 1)),
        "threads": (most, lambda: by_threads(data, repeats, cores)),
        "decode": (most, lambda: sum(map(len, in_groups(data, repeats, cores)))),
        "processes": (most, lambda: list(processes.map(decode_some, parts, repeat(repeats)))),
        **{name: (whole * size, partial(passes, forward)) for name, forward in forwards.items()},
        "both": (most, lambda: busy.append(both(auto, in_groups(data, repeats, cores)))),
    }


def measure(images: int, repeats: int) -> dict[str, float | int | str]:
    """All figures."""
    import tensorflow as tf

    cores, busy = processors(), list[float]()
    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    seconds: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(cores, get_context("spawn")) as processes,
    ):
        paths = make_images(unpack_emoji(Path(name) / "emoji"), Path(name), images)
        work = contestants(paths, repeats, processes, busy)
        work["processes"][1]()  # starts them
        for _ in range(ROUNDS):
            for contestant, (_, once) in work.items():
                began = time.perf_counter()
                once()
                seconds.setdefault(contestant, []).append(time.perf_counter() - began)
    medians = {contestant: statistics.median(taken) for contestant, taken in seconds.items()}
    rates = {contestant: work[contestant][0] / taken for contestant, taken in medians.items()}
    result: dict[str, float | int | str] = {"cores": cores, "images": images * repeats}
    result["gpu"] = ", ".join(gpu.get("device_name", "unknown") for gpu in gpus) or "none"
    result |= {f"{contestant}_per_s": rate for contestant, rate in rates.items()}
    for precision in PRECISIONS:
        peak = matmul_gflops(precision)
        result[f"peak_{precision}_gflops"] = peak
        result[f"share_of_peak_{precision}"] = rates[precision] * flops_an_image() / 1e9 / peak
    return result | {"busy": statistics.median(busy) / medians["both"]}


@click.command()
@click.option("--images", default=2000, show_default=True, help="JPEGs to make.")
@click.option("--repeats", default=20, show_default=True, help="How often each is taken in a round.")
@click.option("--json", "as_json", is_flag=True)
def main(images: int, repeats: int, as_json: bool) -> None:
    """Prints the figures."""
    show(measure(images, repeats), as_json)


if __name__ == "__main__":
    main()
