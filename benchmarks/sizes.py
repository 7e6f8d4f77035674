"""What small vectors cost in retrieval, on validation rows of a store.

    python -m benchmarks.sizes STORE [--seeds 2] [--small] [--json]

Each seed holds out other rows, and fits a plain model and one whose first eighth, quarter and half of the dimensions
are trained to be embeddings too (`nested`). Queries are float32, whole or cut; the gallery is what a store of a
type and length would hold. Rescoring ranks the first ten again by float16. Test rows are never looked at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from huse.embed.prefix import unit_prefix
from huse.embed.search.rescore import CANDIDATES
from huse.features.codes import decode, encode, stored_type, stored_width
from huse.features.info import FEATURES
from huse.features.modality import Pair
from huse.features.store import Store
from huse.train.config import FitConfig, preset
from huse.train.data.task import Task, prepare
from huse.train.evaluation.metrics import retrieval_metrics
from huse.train.loop.search import search_best
from huse.train.network.forward import Outputs, features_of, make_forward

PLAIN, NESTED = "plain", "nested"
SHARES = (8, 4, 2)
SMALL = {"hidden_units": 256, "dimension": 128}
WAYS = Pair(image="text", text="image")
COLUMNS = ("bytes", "R@1 i2t", "R@1 t2i", "mAP i2t", "mAP t2i")

Vectors = NDArray[np.floating]


@dataclass(frozen=True)
class Size:
    """How vectors are kept.

    Attributes:
        fit: of `plain` or `nested`.
        dtype: of the store.
        share: a store keeps one dimension in so many.
        rescored: whether the first ten are ranked again by whole vectors of float16.
    """

    fit: str
    dtype: str
    share: int = 1
    rescored: bool = False

    def name(self, dimension: int) -> str:
        """As the table names it."""
        return f"{self.fit} {self.dtype} {dimension // self.share}{', rescored' if self.rescored else ''}"

    def bytes_of(self, dimension: int) -> int:
        """Of one stored vector."""
        return stored_width(dimension // self.share, self.dtype) * np.dtype(stored_type(self.dtype)).itemsize


SIZES = (
    *(Size(fit, "float16", share) for fit in (PLAIN, NESTED) for share in (1, 2, 4, 8)),
    *(Size(fit, "int8") for fit in (PLAIN, NESTED)),
    *(Size(fit, "binary", rescored=again) for fit in (PLAIN, NESTED) for again in (False, True)),
    *(Size(NESTED, dtype, 4, again) for dtype, again in (("int8", False), ("binary", False), ("binary", True))),
)


def config_of(fit: str, seed: int, small: bool) -> FitConfig:
    """The configuration of a fit."""
    config = preset("default", seed=seed, **(SMALL if small else {}))
    return replace(config, nested=tuple(config.dimension // share for share in SHARES)) if fit == NESTED else config


def scores_of(query: Vectors, gallery: Vectors, size: Size) -> Vectors:
    """(q, g) how near each query is to what a store keeps of each item; higher is nearer."""
    dimension = gallery.shape[1] // size.share
    kept = decode(encode(unit_prefix(gallery, dimension), size.dtype)).astype(np.float32)
    scores = unit_prefix(query, dimension) @ kept.T
    if size.rescored:
        first = np.argsort(-scores, axis=1, kind="stable")[:, :CANDIDATES]
        again = np.take_along_axis(query @ gallery.astype(np.float16).astype(np.float32).T, first, 1)
        np.put_along_axis(scores, first, again + 3, 1)  # before all others
    return scores


def measure(outputs: Outputs, task: Task, size: Size) -> list[float]:
    """Both R@1 and both mAP of a fit's validation rows."""
    labels, found = np.unique(task.val_labels.astype(str), return_inverse=True)[1], []
    for query, gallery in WAYS.items():
        sides = [(outputs.given()[name].embedding, task.val.present.of(name)) for name in (query, gallery)]
        (asked, mine), (there, theirs) = ((vectors[has], labels[has]) for vectors, has in sides)
        scores = scores_of(asked, there, size)
        # scores times the identity are scores: the metrics take vectors
        found.append(retrieval_metrics(scores, np.eye(scores.shape[1], dtype=np.float32), mine, theirs))
    return [way[name] for name in ("r_at_1", "map") for way in found]


def run(store: Store, seed: int, small: bool) -> tuple[dict[Size, list[float]], int]:
    """The figures of every size with one seed, and the dimension of the whole vectors."""
    figures = dict[Size, list[float]]()
    for fit in (PLAIN, NESTED):
        config = config_of(fit, seed, small)
        task = prepare(store, config)
        best = search_best(task, config)
        outputs = make_forward(best.network)(features_of(task.val, best.network))
        figures |= {size: measure(outputs, task, size) for size in SIZES if size.fit == fit}
    return figures, config.dimension


@click.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--seeds", default=2, show_default=True)
@click.option("--small", is_flag=True, help="Towers of 256 units into 128 dimensions.")
@click.option("--json", "as_json", is_flag=True)
def main(store: Path, seeds: int, small: bool, as_json: bool) -> None:
    """Prints the mean over seeds of each size's figures, and the bytes of a stored vector."""
    opened = Store.open(store, FEATURES)
    runs = [run(opened, seed, small) for seed in range(seeds)]
    dimension = runs[0][1]
    results: dict[str, dict[str, Any]] = {}
    for size in SIZES:
        mean = np.mean([figures[size] for figures, _ in runs], axis=0).tolist()
        results[size.name(dimension)] = dict(zip(COLUMNS, [size.bytes_of(dimension), *mean], strict=True))
    if as_json:
        click.echo(json.dumps(results))
        return
    click.echo(f"{'':<34}" + "".join(f"{name:>9}" for name in COLUMNS))
    for name, row in results.items():
        click.echo(f"{name:<34}{row['bytes']:9}" + "".join(f"{row[column]:9.3f}" for column in COLUMNS[1:]))


if __name__ == "__main__":
    main()
