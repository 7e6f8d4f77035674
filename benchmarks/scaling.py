"""What it takes to go on from what is there: `python -m benchmarks.scaling`.

`second look`: small JPEGs, extracted by an encoder that costs next to nothing, and extracted again, in turn with and
without `--content`. Nothing has changed, so that all that is measured is finding that out. The figures are medians
over rounds; where other programs want the processors too, those of processor time say more.
"""

from __future__ import annotations

import io
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.figures import show
from huse.extract.config import ExtractConfig
from huse.extract.extract import extract_features
from huse.features.encoder_spec import EncoderSpec

SIDE, DIMENSION = 128, 512


class Corner:
    """An image's vector is its first pixel, as long as those of VGG16."""

    spec = EncoderSpec("corner", "image", DIMENSION, "first pixel", "0")
    input_size = (8, 8)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, `DIMENSION`)."""
        return np.repeat(pixels[:, 0, 0, :1].astype(np.float32), DIMENSION, axis=1)


def make_catalog(folder: Path, images: int) -> Path:
    """A manifest of so many small JPEGs that are an hour old, all files of their own."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE // 2, SIDE // 2, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).resize((SIDE, SIDE)).save(content, "JPEG")
    hour_ago = time.time() - 3600
    names = [f"{i:07d}.jpg" for i in range(images)]
    for i, name in enumerate(names):
        (folder / name).write_bytes(content.getvalue() + str(i).encode())
        os.utime(folder / name, (hour_ago, hour_ago))
    (folder / "m.csv").write_text("\n".join(["image", *names]) + "\n", encoding="utf-8")
    return folder / "m.csv"


def second_look(images: int, rounds: int) -> dict[str, Any]:
    """Seconds of a run that finds nothing to do, by looks and by content, on the clock and of processors."""
    seconds: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as name:
        manifest, store = make_catalog(Path(name), images), Path(name) / "store"
        extract_features(manifest, store, image_encoder=Corner())
        for _ in range(rounds):
            for content, taken in seconds.items():
                began = time.perf_counter(), time.process_time()
                summary = extract_features(manifest, store, ExtractConfig(content=content), image_encoder=Corner())
                taken.append((time.perf_counter() - began[0], time.process_time() - began[1]))
                if (summary.encoded, summary.trusted) != (0, 0 if content else images):
                    raise RuntimeError(f"not what is to be measured: {summary}")
    (look, look_cpu), (read, read_cpu) = (
        map(statistics.median, zip(*taken, strict=True)) for taken in seconds.values()
    )
    return {
        "images": images,
        "second_look_s": look,
        "content_s": read,
        "ratio_second_look": read / look,
        "second_look_cpu_s": look_cpu,
        "content_cpu_s": read_cpu,
        "ratio_second_look_cpu": read_cpu / look_cpu,
    }


@click.command()
@click.option("--images", default=100_000, show_default=True, help="Of the catalog that is looked at again.")
@click.option("--rounds", default=3, show_default=True, help="Of each contestant.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(images: int, rounds: int, as_json: bool) -> None:
    """Prints a table, or one JSON object."""
    show(second_look(images, rounds), as_json)


if __name__ == "__main__":
    main()
