"""The space as a page: points to hover over, drag and zoom, with thumbnails, in one file that needs no network."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from huse.embed.draw.projection import Points, color_of, groups_of, lay_out
from huse.embed.draw.thumbnails import Thumbnails
from huse.embed.search.gallery import shown_labels
from huse.features.files.atomic import replacing
from huse.features.rows import Rows

MOST_THUMBNAILS = 5_000
"""Images that the page carries, so that a browser can open it."""

SIDE = 72

MAP_SCRIPTS = ("view.js", "lasso.js", "map.js")
"""What defines `drawMap`, in this order."""

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="generator" content="made by huse"><title>huse map</title><style>
html, body, .map {{ height: 100%; margin: 0; font-family: system-ui, sans-serif }}
{style}</style></head><body><div class="map" id="map"></div><script>
{script}
drawMap(document.getElementById("map"), {data});
</script></body></html>
"""


def write_map_page(rows: Rows, folder: Path, out: Path, seed: int = 0, projection: str = "auto") -> None:
    """Writes the page.

    Args:
        rows: embeddings with labels or predictions.
        folder: where the rows' relative `uri` start from.
        out: the HTML file.
        seed: of the projection.
        projection: of the projection, see `project`.

    Raises:
        QueryError: fewer than three vectors to draw.
    """
    data = map_data(rows, lay_out(rows, projection, seed))
    thumbnails = Thumbnails(folder)
    for i in np.flatnonzero(rows.image.present)[:MOST_THUMBNAILS]:
        data["rows"][i]["thumb"] = thumbnails.data_uri(rows.uri[i], SIDE)
    # no text may end the script, or begin a comment in it
    safe = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    page = _PAGE.format(style=asset("map.css"), script="\n".join(map(asset, MAP_SCRIPTS)), data=safe)
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")
    thumbnails.warn_of_none()


def map_data(rows: Rows, points: Points) -> dict[str, Any]:
    """What `drawMap` of map.js takes, JSON-ready, without thumbnails."""
    groups, legend = groups_of(rows)
    entries = zip(points.coordinates.tolist(), points.is_image.tolist(), points.row.tolist(), strict=True)
    return {
        "points": [[round(x, 4), round(y, 4), int(image), row] for (x, y), image, row in entries],
        "rows": [
            {"key": key, "label": label, "caption": caption, "group": group}
            for key, label, caption, group in zip(rows.key, shown_labels(rows), rows.caption, groups, strict=True)
        ],
        "legend": list(color_of(legend).items()),
    }


def asset(name: str) -> str:
    """A script or style that pages of the map are made of."""
    return (files("huse.embed.draw") / name).read_text(encoding="utf-8")
