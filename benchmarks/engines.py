"""What Ray costs on one machine, beside the local engine: `python -m benchmarks.engines`.

In every round each engine extracts the same images twice, in 20 and in 40 shards, in turn: the longer run less the
shorter one is what 20 shards take, without what a run begins with, which is told apart; the figures are medians. Ray
has one worker with all processors, as the local engine has them. The encoder waits for a device as a GPU would let it
wait (`--milliseconds` an image), or is VGG16 itself (`--vgg16`).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import show
from benchmarks.scaling import make_catalog
from huse.extract.config import ExtractConfig
from huse.extract.engines.cluster import connected
from huse.extract.extract import extract_features
from huse.features.encoder_spec import EncoderSpec

SHARDS, BATCH = 20, 32
ENGINES = "local", "ray"


@dataclass(frozen=True)
class Device:
    """An image's vector is its first pixel, which takes a device so many seconds an image."""

    seconds: float

    spec = EncoderSpec("device", "image", 512, "first pixel", "0")
    input_size = (224, 224)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 512)."""
        time.sleep(self.seconds * len(pixels))
        return np.repeat(pixels[:, 0, 0, :1].astype(np.float32), 512, axis=1)


def engines(rows: int, rounds: int, encoder: Device | None) -> dict[str, Any]:
    """Seconds of both engines for `SHARDS` shards of so many rows, and what they begin with."""
    config = ExtractConfig(shard_size=rows, batch_size=BATCH, class_encoder="none")
    began = time.perf_counter()
    with connected(replace(config, engine="ray", ray_address="local")), tempfile.TemporaryDirectory() as name:
        cluster_start = time.perf_counter() - began
        taken: dict[tuple[str, int], list[float]] = {(e, times): [] for e in ENGINES for times in (1, 2)}
        manifests = {}
        for times in (1, 2):
            (folder := Path(name) / str(times)).mkdir()
            manifests[times] = make_catalog(folder, SHARDS * rows * times)
        for turn in range(rounds):
            for engine, times in taken:
                store, began = Path(name) / f"{engine}-{times}-{turn}", time.perf_counter()
                extract_features(manifests[times], store, replace(config, engine=engine), image_encoder=encoder)
                taken[engine, times].append(time.perf_counter() - began)
    seconds = {run: statistics.median(all_rounds) for run, all_rounds in taken.items()}
    shards = {engine: seconds[engine, 2] - seconds[engine, 1] for engine in ENGINES}
    starts = {f"{engine}_start_s": seconds[engine, 1] - shards[engine] for engine in ENGINES}
    each = {f"{engine}_{SHARDS}_shards_s": taken for engine, taken in shards.items()}
    ratio = shards["ray"] / shards["local"]
    return {"rows_a_shard": rows, "cluster_start_s": cluster_start, **starts, **each, "ratio_ray": ratio}


@click.command()
@click.option("--rows", default=480, show_default=True, help="Of a shard.")
@click.option("--milliseconds", default=5.0, show_default=True, help="An image on the device.")
@click.option("--vgg16", is_flag=True, help="VGG16 in place of a device that is waited for.")
@click.option("--rounds", default=3, show_default=True, help="Of each engine.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(rows: int, milliseconds: float, vgg16: bool, rounds: int, as_json: bool) -> None:
    """Prints a table, or one JSON object."""
    show(engines(rows, rounds, None if vgg16 else Device(milliseconds / 1000)), as_json)


if __name__ == "__main__":
    main()
