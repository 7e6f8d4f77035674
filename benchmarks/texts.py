"""Texts of stage 1 beside scripts: `python -m benchmarks.texts [--texts 6000] [--rounds 5] [--json]`.

Captions of the bundled emoji, taken in turn. Each contestant has a process of its own and is warm; in every round each
takes all texts once, in turn. Texts a second, medians over rounds:

- huse: `extract_features` with `use`, from the manifest to the store;
- use_alone: that encoder's own `encode`;
- savedmodel: the same network and weights as a SavedModel from strings to vectors, loaded and called in batches of 32,
  as a script does with one of TF-Hub. Google's own file is not to be had offline, so it is made here;
- minilm, huse_minilm: a model in the shape of all-MiniLM-L6 by ONNX Runtime, called by a script, and as
  `--text-encoder onnx:FOLDER`. Its weights are random and its word pieces those of the captions: it says how fast such
  a model is, and nothing of what its vectors are worth.

`cosine_` is the least of a contestant's vectors to those of huse with the same network.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click

from benchmarks import minilm, use_savedmodel
from benchmarks.contest import Contestant, least_cosine, rates, ratio, take_turns
from benchmarks.figures import show
from huse.demo.emoji import unpack_emoji
from huse.extract.encoders import text_encoder
from huse.extract.extract import extract_features
from huse.extract.manifest.rows import read_manifest
from huse.features.store import Store

BATCH = 32
RATIOS = {"ratio_alone": ("huse", "use_alone"), "ratio_savedmodel": ("huse", "savedmodel")}
RATIOS |= {"ratio_minilm": ("huse_minilm", "minilm")}
SAME = {"use_alone": "huse", "savedmodel": "huse", "minilm": "huse_minilm"}


def by_huse(manifest: Path, name: str) -> Callable[[], Any]:
    """`extract_features` with an encoder that is loaded."""
    import numpy as np

    encoder = text_encoder(name)

    def work() -> Any:
        with tempfile.TemporaryDirectory(dir=manifest.parent) as folder:
            extract_features(manifest, Path(folder) / "store", text_encoder=encoder)
            return np.concatenate([part.text.vectors for part in Store.open(Path(folder) / "store")])

    return work


def alone(texts: Sequence[str], name: str) -> Callable[[], Any]:
    """The encoder without files."""
    encoder = text_encoder(name)
    return lambda: encoder.encode(texts)


def contestants(folder: Path, texts: Sequence[str]) -> dict[str, Contestant]:
    """All, by name."""
    manifest = folder / "texts.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    small = minilm.write_minilm(folder / "minilm", texts)
    model = use_savedmodel.write_savedmodel(folder / "use")
    return {
        "huse": Contestant(by_huse, (manifest, "use")),
        "use_alone": Contestant(alone, (texts, "use")),
        "savedmodel": Contestant(use_savedmodel.by_script, (model, texts, BATCH)),
        "minilm": Contestant(minilm.by_script, (small, texts, BATCH)),
        "huse_minilm": Contestant(by_huse, (manifest, f"onnx:{small}")),
    }


def measure(count: int, rounds: int) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        captions = [row.text for row in read_manifest(unpack_emoji(folder / "emoji")).rows()]
        found = take_turns(contestants(folder, list(islice(cycle(captions), count))), rounds)
    result: dict[str, Any] = {"texts": count, "rounds": rounds} | rates(found, count)
    result |= {name: ratio(found, ours, [theirs]) for name, (ours, theirs) in RATIOS.items()}
    return result | {f"cosine_{name}": least_cosine(found, name, other) for name, other in SAME.items()}


@click.command()
@click.option("--texts", default=6000, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(texts: int, rounds: int, as_json: bool) -> None:
    """Prints the figures."""
    show(measure(texts, rounds), as_json)


if __name__ == "__main__":
    main()
