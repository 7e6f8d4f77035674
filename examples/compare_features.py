"""From features made elsewhere (.npy) to the paper's tables.

    python examples/compare_features.py --image image.npy --text text.npy --labels labels.txt --split split.txt

The arrays have a row for each item; labels.txt and split.txt have a line for each. Without arguments it makes features
of its own, whose classes overlap, to show the way. The tables are written to OUT/tables.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import huse

CLASSES = ("animal/cat", "animal/dog", "animal/horse", "vehicle/bus", "vehicle/car", "vehicle/train")
ROWS = 40
"""Of each class."""


def make_features(folder: Path) -> dict[str, str]:
    """Writes noisy features of six classes, a quarter of their rows for testing; returns the files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    number = np.repeat(np.arange(len(CLASSES)), ROWS)
    files = {name: str(folder / f"{name}.npy") for name in ("image", "text")}
    for name, dimension in (("image", 64), ("text", 32)):
        centers = rng.normal(size=(len(CLASSES), dimension))
        np.save(files[name], (centers[number] + rng.normal(scale=2, size=(len(number), dimension))).astype(np.float32))
    lines = {
        "labels": [CLASSES[n] for n in number],
        "split": ["test" if i % 4 == 3 else "train" for i in range(len(number))],
    }
    for name, values in lines.items():
        files[name] = str(folder / f"{name}.txt")
        Path(files[name]).write_text("\n".join(values) + "\n", encoding="utf-8")
    return files


def main() -> None:
    """Imports the features, compares the methods, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("image", "text", "labels", "split"):
        parser.add_argument(f"--{name}", metavar="FILE")
    parser.add_argument("--out", type=Path, default=Path("comparison"), help="folder for the store and the tables")
    parser.add_argument("--methods", default="posterior,triplet,huse-paper,huse", help="see huse compare --help")
    parser.add_argument("--trials", type=int, default=1, help="configurations tried a method")
    parser.add_argument("--seeds", type=int, default=1, help="runs a tuned method")
    parser.add_argument("--epochs", type=int, help="passes over the training rows")
    options = parser.parse_args()
    given = {name: getattr(options, name) for name in ("image", "text", "labels", "split")}
    files = given if any(given.values()) else make_features(options.out)
    huse.import_store(options.out / "features", **files)
    changes = {"epochs": options.epochs} if options.epochs else None
    methods = tuple(options.methods.split(","))
    huse.compare(
        options.out / "features", options.out / "tables", methods, options.seeds, options.trials, changes=changes
    )
    print((options.out / "tables" / "tables.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
