"""Stage 1 against other libraries: `python -m benchmarks.vgg16 [--images 512] [--rounds 3] [--json]`.

VGG16 with the same weights, read out as huse does by default (means of block4_pool and block5_pool), from the same
JPEGs of 544 x 408 to vectors. Each contestant has a process of its own, with its network built and warm; in every round
each takes all images once, in turn. Images a second, medians over rounds:

- huse: `extract_features`, from the files to the store;
- predict: Keras's network and `model.predict` in batches of 32;
- pytorch: `torch.nn` layers, channels last, and a DataLoader with a process a core. `torch.compile` is left out, as it
  needs a compiler of C++;
- onnxruntime, openvino: the network as an ONNX model, decoded by a thread a core; OpenVINO in its throughput mode.

`cosine` is the least of a contestant's vectors to huse's in float32. `ratio` is the rate of huse over that of the
fastest other at equal precision, the median over rounds. Contestants whose vectors differ (cosine below 0.999) count in
no ratio. Without AVX-512 or AMX bfloat16 is emulated, and says nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np

from benchmarks import vgg16_elsewhere as elsewhere
from benchmarks.contest import Contestant, least_cosine, rates, ratio, take_turns
from benchmarks.figures import show
from benchmarks.photos import make_images
from huse.demo.emoji import unpack_emoji
from huse.extract.encoders import image_encoder
from huse.extract.encoders.replicas import batch_size_here
from huse.extract.extract import extract_features
from huse.features.store import Store

ENCODER = "vgg16:blocks"
GFLOP = 30.7
"""Of an image: multiplications and additions of the 13 convolutions as they are written, in units of 10^9."""

EQUAL = 0.999
OTHERS = {
    "float32": ["predict", "pytorch_float32", "onnxruntime", "openvino_float32"],
    "bfloat16": ["pytorch_bfloat16", "openvino_bfloat16"],
}


def by_huse(manifest: Path, precision: str) -> Callable[[], Any]:
    """`extract_features` with an encoder that is warm."""
    encoder = image_encoder(ENCODER, precision=precision)
    encoder.encode(np.zeros((batch_size_here(), *encoder.input_size, 3), np.uint8))

    def work() -> Any:
        with tempfile.TemporaryDirectory(dir=manifest.parent) as folder:
            extract_features(manifest, Path(folder) / "store", image_encoder=encoder)
            return np.concatenate([part.image.vectors for part in Store.open(Path(folder) / "store")])

    return work


def contestants(folder: Path, paths: list[Path]) -> dict[str, Contestant]:
    """All, by name."""
    manifest = folder / "m.csv"
    manifest.write_text("\n".join(["image", *(path.name for path in paths)]) + "\n", encoding="utf-8")
    model = elsewhere.write_onnx(folder / "vgg16.onnx")
    found = {"predict": Contestant(elsewhere.by_predict, (paths, 32))}
    found["onnxruntime"] = Contestant(elsewhere.by_onnxruntime, (paths, model, 8), ("onnxruntime",))
    for precision in OTHERS:
        found[f"huse_{precision}"] = Contestant(by_huse, (manifest, precision))
        found[f"pytorch_{precision}"] = Contestant(elsewhere.by_pytorch, (paths, precision, 32), ("torch",))
        openvino = elsewhere.by_openvino, (paths, model, precision, 8), ("openvino",)
        found[f"openvino_{precision}"] = Contestant(*openvino)
    return found


def measure(count: int, rounds: int) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_images(unpack_emoji(folder / "emoji"), folder, count)
        found = take_turns(contestants(folder, paths), rounds)
    result: dict[str, Any] = {"images": count, "rounds": rounds, "gflop_an_image": GFLOP} | rates(found, count)
    cosines = {name: least_cosine(found, name, "huse_float32") for name in found}
    for precision, others in OTHERS.items():
        equal = [name for name in others if (cosines[name] or 0) >= EQUAL]
        result[f"ratio_{precision}"] = ratio(found, f"huse_{precision}", equal)
    return result | {f"cosine_{name}": value for name, value in cosines.items()}


@click.command()
@click.option("--images", default=512, show_default=True, help="Batches of 32 fill them.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(images: int, rounds: int, as_json: bool) -> None:
    """Prints the figures."""
    show(measure(images, rounds), as_json)


if __name__ == "__main__":
    main()
