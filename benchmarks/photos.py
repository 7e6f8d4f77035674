"""JPEGs as large as photos, of which every benchmark that decodes makes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from huse.extract.manifest.rows import read_manifest

COLUMNS, ROWS, SIDE = 4, 3, 136


def make_images(emoji: Path, folder: Path, count: int) -> list[Path]:
    """Writes `count` JPEGs, each with twelve emoji on a colored ground."""
    rng = np.random.default_rng(0)
    sources = [emoji.parent / row.image for row in read_manifest(emoji).rows()]
    paths = []
    for number in range(count):
        image = Image.new("RGB", (COLUMNS * SIDE, ROWS * SIDE), tuple(rng.integers(0, 256, 3).tolist()))
        for place in range(COLUMNS * ROWS):
            with Image.open(sources[rng.integers(len(sources))]) as source:
                piece = source.convert("RGBA").resize((SIDE, SIDE))
            image.paste(piece, (place % COLUMNS * SIDE, place // COLUMNS * SIDE), piece)
        paths.append(folder / f"{number:05d}.jpg")
        image.save(paths[-1], quality=90)
    return paths
