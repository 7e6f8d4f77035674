"""The universal space in two dimensions, as an image: every row's image and text at their coordinates."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from PIL.PngImagePlugin import PngInfo

from huse.embed.draw.projection import COLORS, Points, color_of, groups_of, lay_out
from huse.embed.draw.thumbnails import Thumbnails
from huse.embed.search.gallery import shown_labels
from huse.features.companions import class_name
from huse.features.files.atomic import replacing
from huse.features.files.outputs import MARK
from huse.features.rows import Rows

WIDTH, HEIGHT = 1600, 1120
"""Size of the image in pixels."""

MARGIN, LEGEND = 50, 96
THUMBNAIL, DOT = 40, 13
"""Diameter of an image and of a text, in pixels."""

OVERSAMPLE = 2
NAMED_CLASSES = 14
MOST_IMAGES, MOST_SPREAD = 1_500, 3_000
"""Images that are drawn as such, and points that are moved apart, unless told; more would only cover each other."""


def draw_map(
    rows: Rows, folder: Path, out: Path, seed: int = 0, projection: str = "auto", thumbnails: bool | None = None
) -> None:
    """Draws images and texts of some rows at their coordinates in the space (as the paper's Figure 1).

    Images are drawn themselves, texts as dots; the color is that of the label's top level.

    Args:
        rows: embeddings with labels or predictions, of one store.
        folder: where the rows' relative `uri` start from.
        out: the PNG file to write.
        seed: of the projection.
        projection: of the projection, see `project`.
        thumbnails: draw images rather than rings; by default when there are at most `MOST_IMAGES`.

    Raises:
        QueryError: fewer than three vectors to draw.
    """
    points = lay_out(rows, projection, seed)
    if thumbnails is None:
        thumbnails = int(points.is_image.sum()) <= MOST_IMAGES
    points = _on_paper(points, thumbnails)
    groups, legend = groups_of(rows)
    color = color_of(legend)
    _warn_of_boxes([*map(class_name, dict.fromkeys(shown_labels(rows))), *legend])
    canvas = Image.new("RGB", (WIDTH * OVERSAMPLE, HEIGHT * OVERSAMPLE), "white")
    pen = ImageDraw.Draw(canvas)
    for point, row in zip(points.coordinates[~points.is_image], points.row[~points.is_image], strict=True):
        _draw_dot(pen, point, color[groups[row]])
    small = Thumbnails(folder)
    for point, row in zip(points.coordinates[points.is_image], points.row[points.is_image], strict=True):
        if thumbnails:
            _draw_thumbnail(canvas, pen, point, small.image(rows.uri[row]), color[groups[row]])
        else:
            pen.ellipse(_box(point, DOT), outline=color[groups[row]], width=OVERSAMPLE * 2)
    _draw_class_names(pen, rows, points)
    _draw_legend(pen, legend, color)
    says = PngInfo()
    says.add_text("Software", MARK)
    with replacing(out) as temporary:
        canvas.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(temporary, "PNG", optimize=True, pnginfo=says)
    small.warn_of_none()


def spread(
    coordinates: NDArray[np.float64], radii: NDArray[np.float64], low: tuple[float, float], high: tuple[float, float]
) -> NDArray[np.float64]:
    """Moves discs apart until few overlap, and keeps them inside a rectangle.

    Args:
        coordinates: (n, 2) centers.
        radii: (n,) of the discs.
        low: smallest (x, y) of a center.
        high: largest (x, y) of a center.
    """
    moved = coordinates.copy()
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


def _on_paper(points: Points, thumbnails: bool) -> Points:
    """The same points in pixels, moved apart where there are few enough to see each."""
    edge = THUMBNAIL / 2 + MARGIN / 2
    low, high = np.array([edge, edge]), np.array([WIDTH - edge, HEIGHT - LEGEND - edge])
    coordinates = points.coordinates * (high - low) + low
    if len(coordinates) <= MOST_SPREAD:
        radii = np.where(points.is_image & thumbnails, THUMBNAIL * 0.48, DOT * 0.5)
        coordinates = spread(coordinates, radii, tuple(low), tuple(high))
    return replace(points, coordinates=coordinates)


def _draw_dot(pen: ImageDraw.ImageDraw, point: NDArray[np.float64], color: str) -> None:
    pen.ellipse(_box(point, DOT), fill=color, outline="white", width=OVERSAMPLE)


def _draw_thumbnail(
    canvas: Image.Image, pen: ImageDraw.ImageDraw, point: NDArray[np.float64], small: Image.Image | None, color: str
) -> None:
    pen.ellipse(_box(point, THUMBNAIL), fill="white", outline=color, width=OVERSAMPLE * 2)
    if small is None:
        return
    side = int(THUMBNAIL * OVERSAMPLE * 0.64)  # its corners stay inside the ring
    small = ImageOps.contain(small, (side, side), Image.Resampling.LANCZOS)
    center = point * OVERSAMPLE
    canvas.paste(small, (int(center[0] - small.width / 2), int(center[1] - small.height / 2)))


def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with Matplotlib; Pillow's own font has the letters of English alone."""
    from matplotlib import get_data_path

    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size * OVERSAMPLE)


def _warn_of_boxes(names: Iterable[str]) -> None:
    font = _font(20)
    box = bytes(font.getmask("\U0010ffff"))
    letters = sorted(filter(str.isprintable, set("".join(names))))
    lacking = [letter for letter in letters if bytes(font.getmask(letter)) == box]
    if lacking:
        warnings.warn(
            f"class names have letters that the font of a PNG map lacks, such as {lacking[0]!r}, drawn as boxes; "
            "write a page, OUT.html, which takes the browser's",
            stacklevel=2,
        )


def _draw_class_names(pen: ImageDraw.ImageDraw, rows: Rows, points: Points) -> None:
    """Names the most frequent classes, each at the middle of its items, where no other name stands."""
    font = _font(24)
    labels = shown_labels(rows)[points.row]
    taken: list[tuple[float, float, float, float]] = []
    for label, _ in Counter(labels).most_common():
        middle = np.median(points.coordinates[labels == label], axis=0) * OVERSAMPLE
        name = _on_one_line(class_name(label))
        box = pen.textbbox(tuple(middle), name, font=font, anchor="mm")
        if box[0] < 0 or box[2] > WIDTH * OVERSAMPLE or any(_touch(box, other) for other in taken):
            continue
        taken.append(box)
        pen.text(tuple(middle), name, "black", font, "mm", stroke_width=4 * OVERSAMPLE, stroke_fill="white")
        if len(taken) == NAMED_CLASSES:
            return


def _draw_legend(pen: ImageDraw.ImageDraw, legend: list[str], color: dict[str, str]) -> None:
    font = _font(20)
    x, y = float(MARGIN), HEIGHT - LEGEND + 24.0
    pen.line([(0, (y - 22) * OVERSAMPLE), (WIDTH * OVERSAMPLE, (y - 22) * OVERSAMPLE)], "#cccccc", OVERSAMPLE)
    pen.ellipse(_box(np.array([x, y]), 26), outline="#444444", width=OVERSAMPLE * 2)
    x = _write(pen, x + 18, y, "image", font) + 30
    pen.ellipse(_box(np.array([x, y]), DOT), fill="#444444")
    x = _write(pen, x + 12, y, "text of an image", font) + 46
    for group in legend[: len(COLORS)]:
        name = _on_one_line(group)
        if x + 30 + font.getlength(name) / OVERSAMPLE > WIDTH:
            x, y = float(MARGIN), y + 38
        pen.ellipse(_box(np.array([x, y]), 18), fill=color[group])
        x = _write(pen, x + 14, y, name, font) + 30


def _on_one_line(name: str) -> str:
    return " ".join(name.split())


def _write(pen: ImageDraw.ImageDraw, x: float, y: float, words: str, font: ImageFont.FreeTypeFont) -> float:
    pen.text((x * OVERSAMPLE, y * OVERSAMPLE), words, "#222222", font, "lm")
    return x + font.getlength(words) / OVERSAMPLE


def _box(point: NDArray[np.float64], diameter: float) -> tuple[float, float, float, float]:
    (x, y), r = point * OVERSAMPLE, diameter * OVERSAMPLE / 2
    return (x - r, y - r, x + r, y + r)


def _touch(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
