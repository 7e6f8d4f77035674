"""From a CSV file of products to a search page.

    python examples/own_catalogue.py                        # a small catalog that it draws itself
    python examples/own_catalogue.py products.csv           # yours: columns image, text, label, split
    python examples/own_catalogue.py products.csv --serve   # and serve the page until Ctrl-C

Needs the extra for the page: pip install '.[app]'
"""

from __future__ import annotations

import argparse
import csv
from itertools import product
from pathlib import Path

from fastapi import FastAPI
from PIL import Image, ImageDraw

import huse

COLORS = ("red", "orange", "gold", "green", "teal", "blue", "purple", "brown")
PATTERNS = ("plain", "striped")
KINDS = {"rug": "home/floor/rugs", "cushion": "home/sofa/cushions", "pennant": "garden/party/pennants"}


def draw_catalog(folder: Path) -> Path:
    """Draws 48 products into `folder`/images and writes the table products.csv beside them; returns the table."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = [("image", "text", "label", "split")]
    for number, (color, pattern, kind) in enumerate(product(COLORS, PATTERNS, KINDS)):
        image = f"images/{color}-{pattern}-{kind}.png"
        draw_product(kind, color, pattern).save(folder / image)
        rows.append((image, f"{pattern} {kind}, {color}", KINDS[kind], "test" if number % 5 == 4 else "train"))
    with (folder / "products.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "products.csv"


def draw_product(kind: str, color: str, pattern: str) -> Image.Image:
    """A rug is round, a cushion square, a pennant a triangle."""
    image = Image.new("RGB", (96, 96), "white")
    draw = ImageDraw.Draw(image)
    if kind == "rug":
        draw.ellipse((10, 10, 86, 86), fill=color)
    elif kind == "cushion":
        draw.rounded_rectangle((14, 14, 82, 82), 12, fill=color)
    else:
        draw.polygon(((48, 10), (88, 84), (8, 84)), fill=color)
    if pattern == "striped":
        for height in range(20, 96, 16):
            draw.line((0, height, 96, height), fill="white", width=5)
    return image


def build(manifest: Path, out: Path, config: huse.FitConfig) -> FastAPI:
    """Runs every stage into `out` and returns the search page; what is there already is used again.

    Args:
        manifest: table with columns image, text, label and split.
        out: folder for the stores and the model.
        config: hyperparameters of the towers.
    """
    huse.extract_features(manifest, out / "features")
    huse.fit_model(out / "features", out / "model", config, overwrite=True)
    accuracy = huse.evaluate_model(out / "model", out / "features")["accuracy"]
    print("accuracy on test rows:", ", ".join(f"{name} {value:.2f}" for name, value in accuracy.items()))
    huse.embed_source(out / "model", out / "features", out / "embeddings", overwrite=True)
    return huse.make_app(huse.Searcher(huse.load(out / "model"), out / "embeddings", manifest.parent))


def main() -> None:
    """Reads the arguments, builds the page, and serves it if told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", nargs="?", type=Path, help="your table; a small catalog is drawn without one")
    parser.add_argument("--out", type=Path, default=Path("catalog"), help="folder for all that is made")
    parser.add_argument("--serve", action="store_true", help="serve the page until Ctrl-C")
    options = parser.parse_args()
    page = build(options.manifest or draw_catalog(options.out), options.out, huse.FitConfig())
    if options.serve:
        import uvicorn

        uvicorn.run(page, port=8765)
    else:
        print(f"huse serve {options.out}/model {options.out}/embeddings   # shows the page")


if __name__ == "__main__":
    main()
