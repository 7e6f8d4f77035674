from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from samples import random_embeddings

from huse.embed.draw.map_png import COLORS, HEIGHT, WIDTH, draw_map, spread
from huse.features.errors import QueryError
from huse.features.store import Store


def test_the_map_shows_images_texts_and_groups(few_emoji: Path, few_embeddings: Path, tmp_path: Path) -> None:
    rows = Store.open(few_embeddings).load()
    draw_map(rows, few_emoji.parent, tmp_path / "map.png", projection="tsne")
    with Image.open(tmp_path / "map.png") as image:
        assert image.size == (WIDTH, HEIGHT)
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    colors = {tuple(color) for color in np.unique(pixels, axis=0)}
    for color in COLORS[:3]:  # three groups, each with its color
        assert tuple(int(color[i : i + 2], 16) for i in (1, 3, 5)) in colors


def test_names_of_other_scripts_are_drawn_or_told(tmp_path: Path) -> None:
    rows = random_embeddings(tmp_path / "s", 6).load()
    rows.label[:] = ["Größe/Кружки", "Été/ñandú"] * 3
    draw_map(rows, tmp_path, tmp_path / "map.png", thumbnails=False)
    rows.label[0] = "履物/赤い靴"
    with pytest.warns(
        UserWarning, match=r"font of a PNG map lacks, such as '.', drawn as boxes; write a page, OUT\.html"
    ):
        draw_map(rows, tmp_path, tmp_path / "map.png", thumbnails=False)


def test_spread_moves_discs_apart_and_keeps_them_inside() -> None:
    places = np.random.default_rng(0).normal(50, 1, size=(30, 2))
    moved = spread(places, np.full(30, 4.0), (0, 0), (100, 100))
    distance = np.linalg.norm(moved[:, None] - moved[None], axis=2) + 1000 * np.eye(30)
    assert distance.min() > 7.0
    assert moved.min() >= 0
    assert moved.max() <= 100


def test_too_little_to_draw(few_embeddings: Path, tmp_path: Path) -> None:
    rows = Store.open(few_embeddings).load().take([0])
    with pytest.raises(QueryError, match="at least three"):
        draw_map(rows, tmp_path, tmp_path / "map.png")
