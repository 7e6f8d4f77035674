"""The universal space in two dimensions, as a picture: every row's picture and text at their places."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from huse.features.errors import QueryError
from huse.features.rows import Rows
from huse.features.store import class_name

WIDTH, HEIGHT = 1600, 1120
"""Size of the picture in pixels."""

MARGIN, LEGEND = 50, 96
THUMBNAIL, DOT = 40, 13
"""Diameter of a picture and of a text, in pixels."""

COLORS = (
    "#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#b8860b", "#f032e6", "#808000", "#7f7f7f",
)  # fmt: skip
"""One color a top-level class; further ones share the last."""

OVERSAMPLE = 2
NAMED_CLASSES = 14


@dataclass(frozen=True)
class _Points:
    """What is drawn: places (n, 2) in pixels, whether each is a picture, and the row each belongs to."""

    places: NDArray[np.float64]
    is_picture: NDArray[np.bool_]
    row: NDArray[np.intp]


def draw_map(rows: Rows, folder: Path, out: Path, seed: int = 0) -> None:
    """Draws pictures and texts of some rows at their places in the space.

    Pictures are drawn themselves, texts as dots; the color is that of the label's top level.

    Args:
        rows: embeddings with labels, of one store.
        folder: where the rows' relative `uri` start from.
        out: the PNG file to write.
        seed: of the projection.

    Raises:
        QueryError: fewer than three vectors to draw.
    """
    points = _lay_out(rows, seed)
    groups = [label.split("/")[0] or "(no label)" for label in rows.label]
    legend = [name for name, _ in Counter(groups).most_common()]
    color = {name: COLORS[min(i, len(COLORS) - 1)] for i, name in enumerate(legend)}
    canvas = Image.new("RGB", (WIDTH * OVERSAMPLE, HEIGHT * OVERSAMPLE), "white")
    pen = ImageDraw.Draw(canvas)
    for place, row in zip(points.places[~points.is_picture], points.row[~points.is_picture], strict=True):
        _draw_dot(pen, place, color[groups[row]])
    for place, row in zip(points.places[points.is_picture], points.row[points.is_picture], strict=True):
        _draw_thumbnail(canvas, pen, place, folder / rows.uri[row], color[groups[row]])
    _draw_class_names(pen, rows, points)
    _draw_legend(pen, legend, color)
    canvas.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(out, optimize=True)


def project(vectors: NDArray[np.floating], seed: int = 0) -> NDArray[np.float64]:
    """(n, D) unit vectors to (n, 2) places by t-SNE under cosine distance."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    tsne = TSNE(metric="cosine", init="random", perplexity=perplexity, random_state=seed)
    return np.asarray(tsne.fit_transform(vectors.astype(np.float32)), dtype=np.float64)


def spread(
    places: NDArray[np.float64], radii: NDArray[np.float64], low: tuple[float, float], high: tuple[float, float]
) -> NDArray[np.float64]:
    """Moves discs apart until few overlap, and keeps them inside a rectangle.

    Args:
        places: (n, 2) centers.
        radii: (n,) of the discs.
        low: smallest (x, y) of a center.
        high: largest (x, y) of a center.
    """
    moved = places.copy()
    wanted = radii[:, None] + radii[None, :]
    for _ in range(120):
        offset = moved[:, None, :] - moved[None, :, :]
        distance = np.sqrt((offset**2).sum(axis=2)) + 1e-6
        np.fill_diagonal(distance, np.inf)
        overlap = np.maximum(wanted - distance, 0.0)
        if not overlap.any():
            break
        moved += 0.4 * (offset / distance[:, :, None] * overlap[:, :, None]).sum(axis=1)
        moved = np.clip(moved, low, high)
    return moved


def _lay_out(rows: Rows, seed: int) -> _Points:
    pictures, texts = np.flatnonzero(rows.has_image), np.flatnonzero(rows.has_text)
    vectors = [getattr(rows, m)[index] for m, index in (("image", pictures), ("text", texts)) if len(index)]
    if len(pictures) + len(texts) < 3:
        raise QueryError("a map needs at least three pictures or texts")
    flat = project(np.concatenate(vectors), seed)
    edge = THUMBNAIL / 2 + MARGIN / 2
    low, high = (edge, edge), (WIDTH - edge, HEIGHT - LEGEND - edge)
    extent = np.maximum(flat.max(axis=0) - flat.min(axis=0), 1e-9)
    places = (flat - flat.min(axis=0)) / extent * (np.array(high) - low) + low
    is_picture = np.arange(len(places)) < len(pictures)
    radii = np.where(is_picture, THUMBNAIL * 0.48, DOT * 0.5)
    return _Points(spread(places, radii, low, high), is_picture, np.concatenate([pictures, texts]))


def _draw_dot(pen: ImageDraw.ImageDraw, place: NDArray[np.float64], color: str) -> None:
    pen.ellipse(_box(place, DOT), fill=color, outline="white", width=OVERSAMPLE)


def _draw_thumbnail(
    canvas: Image.Image, pen: ImageDraw.ImageDraw, place: NDArray[np.float64], path: Path, color: str
) -> None:
    pen.ellipse(_box(place, THUMBNAIL), fill="white", outline=color, width=OVERSAMPLE * 2)
    side = int(THUMBNAIL * OVERSAMPLE * 0.7)
    with Image.open(path) as picture:
        small = picture.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)
    corner = (int(place[0] * OVERSAMPLE - side / 2), int(place[1] * OVERSAMPLE - side / 2))
    canvas.paste(small, corner, small)


def _draw_class_names(pen: ImageDraw.ImageDraw, rows: Rows, points: _Points) -> None:
    """Names the most frequent classes, each at the middle of its items, where no other name stands."""
    font = ImageFont.load_default(24 * OVERSAMPLE)
    labels = rows.label[points.row]
    taken: list[tuple[float, float, float, float]] = []
    for label, _ in Counter(labels).most_common():
        middle = np.median(points.places[labels == label], axis=0) * OVERSAMPLE
        box = pen.textbbox(tuple(middle), class_name(label), font=font, anchor="mm")
        if box[0] < 0 or box[2] > WIDTH * OVERSAMPLE or any(_touch(box, other) for other in taken):
            continue
        taken.append(box)
        pen.text(
            tuple(middle), class_name(label), "black", font, "mm", stroke_width=4 * OVERSAMPLE, stroke_fill="white"
        )
        if len(taken) == NAMED_CLASSES:
            return


def _draw_legend(pen: ImageDraw.ImageDraw, legend: list[str], color: dict[str, str]) -> None:
    font = ImageFont.load_default(20 * OVERSAMPLE)
    x, y = float(MARGIN), HEIGHT - LEGEND + 24.0
    pen.line([(0, (y - 22) * OVERSAMPLE), (WIDTH * OVERSAMPLE, (y - 22) * OVERSAMPLE)], "#cccccc", OVERSAMPLE)
    pen.ellipse(_box(np.array([x, y]), 26), outline="#444444", width=OVERSAMPLE * 2)
    x = _write(pen, x + 18, y, "picture", font) + 30
    pen.ellipse(_box(np.array([x, y]), DOT), fill="#444444")
    x = _write(pen, x + 12, y, "text of a picture", font) + 46
    for name in legend[: len(COLORS)]:
        if x + 30 + font.getlength(name) / OVERSAMPLE > WIDTH:
            x, y = float(MARGIN), y + 38
        pen.ellipse(_box(np.array([x, y]), 18), fill=color[name])
        x = _write(pen, x + 14, y, name, font) + 30


def _write(pen: ImageDraw.ImageDraw, x: float, y: float, words: str, font: ImageFont.FreeTypeFont) -> float:
    pen.text((x * OVERSAMPLE, y * OVERSAMPLE), words, "#222222", font, "lm")
    return x + font.getlength(words) / OVERSAMPLE


def _box(place: NDArray[np.float64], diameter: float) -> tuple[float, float, float, float]:
    (x, y), r = place * OVERSAMPLE, diameter * OVERSAMPLE / 2
    return (x - r, y - r, x + r, y + r)


def _touch(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
