"""`huse search --open`: hits with their images, as one page that needs no network."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from huse.embed.draw.thumbnails import Thumbnails
from huse.embed.search.gallery import Hit
from huse.features.errors import QueryError
from huse.features.files.atomic import replacing
from huse.features.files.folders import require_place
from huse.features.files.outputs import require_output
from huse.features.inspection import HITS_PAGE

SIDE = 160

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="generator" content="made by huse"><title>huse search</title><style>
body {{ font: 15px/1.4 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222 }}
ol {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(170px, 1fr)); gap: 1em; padding: 0 }}
li {{ list-style: none; border: 1px solid #ddd; border-radius: 8px; padding: 8px; overflow-wrap: anywhere }}
img {{ display: block; height: {side}px; max-width: 100%; object-fit: contain; margin: 0 auto 6px }}
small {{ color: #666 }}
</style></head><body><h1>huse search</h1>
{results}
</body></html>
"""


def place_of_hits_page(embeddings: Path) -> Path:
    """Where the page of some embeddings is written, once it is known that it can be.

    Raises:
        QueryError: the folder cannot be written, or a file of this name there is not of huse.
    """
    page = embeddings / HITS_PAGE
    require_place(embeddings, QueryError, page, "search without a page")
    require_output(page, QueryError)
    return page


def write_hits_page(path: Path, queries: Sequence[str], results: Sequence[Sequence[Hit]], folder: Path) -> None:
    """Writes the page.

    Args:
        path: the HTML file.
        queries: what was searched for, one a result.
        results: the hits of each query.
        folder: where relative images start from.
    """
    thumbnails = Thumbnails(folder)
    parts = [
        f"<h2>{html.escape(query)}</h2>\n<ol>{''.join(_item(hit, thumbnails) for hit in hits)}</ol>"
        for query, hits in zip(queries, results, strict=True)
    ]
    with replacing(path) as temporary:
        temporary.write_text(_PAGE.format(side=SIDE, results="\n".join(parts)), encoding="utf-8", errors="replace")
    thumbnails.warn_of_none()


def _item(hit: Hit, thumbnails: Thumbnails) -> str:
    source = thumbnails.data_uri(hit.uri, SIDE)
    image = f'<img alt="{html.escape(hit.key)}" src="{source}">' if source else ""
    return (
        f"<li>{image}<b>{hit.score:.3f}</b> {html.escape(hit.caption)}"
        f"<br><small>{html.escape(hit.label)}<br>{html.escape(hit.key)}</small></li>"
    )
