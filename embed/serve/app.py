"""`huse serve`: one page and a JSON API over a `Searcher`, on one port."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import FastAPI, File, Form, HTTPException, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware
from swagger_ui_bundle import swagger_ui_path

from huse import __version__
from huse.embed.draw.map_page import MAP_SCRIPTS, asset
from huse.embed.search.gallery import Hit
from huse.embed.serve.limits import add_limits
from huse.embed.serve.memory import MANY_PIXELS, give_back
from huse.embed.serve.schema import (
    MOST_HITS,
    Counted,
    GalleryName,
    Info,
    Keys,
    Labels,
    NotYet,
    Query,
    ShownAnswer,
    ShownHit,
    ShownRow,
    ShownRows,
    refusals,
)
from huse.embed.serve.searcher import Answer, Searcher
from huse.embed.serve.shown import ShownImages, is_on_the_web
from huse.extract.images.decoding import ImageError, opened_image
from huse.features.errors import QueryError

MOST_UPLOAD = 20 * 2**20
"""Bytes of an image that may be sent, unless told."""

MOST_UPLOAD_PIXELS = 40_000_000
"""Pixels of an image that may be sent, unless told."""

UPLOADS_AT_ONCE, TEXTS_AT_ONCE = 2, 4
"""Queries that are encoded at a time; the others wait without a thread, so that all else is answered meanwhile."""

OPENAPI_VERSION = "3.0.3"
"""What the bundled page of the API can show; so no value here may be null."""

DOCS_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'"
)
"""Of the page of the API, which has a script in itself."""

PAGE_SCRIPTS = ("page.js", "csv.js", "tags.js", "cards.js", "chosen.js", "search.js", "start.js")

IMAGE_HEADERS = {"Cache-Control": "private, max-age=60"}

SEARCH_REFUSALS = refusals(
    s400="The query cannot be used.",
    s403="A page of another site sent it.",
    s404="There is no such row.",
    s411="The length of the body was not announced.",
    s413="The body or the image is too large.",
    s422="The query is not of the described form.",
)
ROWS_REFUSALS = refusals(
    s403="A page of another site sent it.",
    s411="The length of the body was not announced.",
    s413="The body is too large.",
    s422="The keys are not of the described form.",
)
IMAGE_REFUSALS = refusals(s404="There is no image of such a row.", s422="The key is not of the described form.")
MAP_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"model": NotYet, "description": "It is being drawn; ask again."},
    **refusals(s404="There is no map of these rows."),
}


def make_app(
    searcher: Searcher,
    most_upload: int = MOST_UPLOAD,
    hosts: tuple[str, ...] = (),
    most_pixels: int = MOST_UPLOAD_PIXELS,
) -> FastAPI:
    """The application; begins to build, in the background, what first queries would wait for.

    Args:
        searcher: what answers.
        most_upload: bytes that an uploaded image may have.
        hosts: names by which the server may be called beside localhost; ``*`` allows all. Pages of other sites cannot
            reach it under a name of theirs.
        most_pixels: pixels that an uploaded image may have.
    """
    app = FastAPI(title="huse", version=__version__, docs_url=None, redoc_url=None)
    app.openapi_version = OPENAPI_VERSION
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]", "testserver", *hosts])
    app.mount("/swagger", StaticFiles(directory=swagger_ui_path))
    add_limits(app, most_upload)
    _add_pages(app)
    _add_info(app, searcher, most_upload, most_pixels)
    _add_search(app, searcher)
    _add_search_by_image(app, searcher, most_upload, most_pixels)
    _add_rows(app, searcher)
    _add_images(app, searcher)
    searcher.prepare()
    return app


def _add_pages(app: FastAPI) -> None:
    here = files("huse.embed.serve")
    texts = {name: (here / name).read_text(encoding="utf-8") for name in ("index.html", "page.css", *PAGE_SCRIPTS)}
    texts |= {name: asset(name) for name in ("map.css", *MAP_SCRIPTS)}
    kinds = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def index() -> HTMLResponse:
        return HTMLResponse(texts["index.html"])

    @app.get("/assets/{name}", include_in_schema=False)
    def assets(name: str) -> Response:
        if name not in texts:
            raise HTTPException(404, "no such file")
        return Response(texts[name], media_type=kinds[Path(name).suffix])

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        """The API's page, from files of this server alone."""
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="huse API",
            swagger_js_url="/swagger/swagger-ui-bundle.js",
            swagger_css_url="/swagger/swagger-ui.css",
            swagger_favicon_url="/swagger/favicon-32x32.png",
        )
        page.headers["Content-Security-Policy"] = DOCS_POLICY
        return page


def _add_info(app: FastAPI, searcher: Searcher, most_upload: int, most_pixels: int) -> None:
    classes = [Counted(label=label, rows=rows) for label, rows in searcher.class_counts]

    @app.get("/api/info")
    async def info() -> Info:
        """Rows and classes that can be found, and what is ready."""
        return Info(
            rows=len(searcher),
            classes=classes,
            galleries=searcher.galleries,
            fingerprint=searcher.model.trained.fingerprint,
            gallery=searcher.identity,
            most_upload=most_upload,
            most_pixels=most_pixels,
            ready=searcher.ready,
            map_ready=searcher.map.data is not None,
            problems=searcher.problems,
        )

    @app.get("/api/map", responses=MAP_ANSWERS)
    def space() -> dict[str, Any]:
        """The space in two dimensions; 202 while it is being drawn, from the start of the server on."""
        data = searcher.map.data
        if searcher.map.problem:
            raise HTTPException(404, searcher.map.problem)
        if data is None:
            return JSONResponse(NotYet(detail=searcher.map.progress).model_dump(), 202)  # type: ignore[return-value]
        return {
            **data,
            "of": len(searcher),
            "rows": [{**row, "thumb": _path(searcher, row["key"])} for row in data["rows"]],
        }


def _add_search(app: FastAPI, searcher: Searcher) -> None:
    encoding = ThreadPoolExecutor(TEXTS_AT_ONCE, "huse-text")

    @app.post("/api/search", responses=SEARCH_REFUSALS)
    async def search(query: Query) -> ShownAnswer:
        """The rows nearest to words, or to another row."""
        if bool(query.text) == bool(query.key):
            raise HTTPException(400, "give either text or key")
        if query.text:
            return await asyncio.get_running_loop().run_in_executor(encoding, by_text, query)
        return await run_in_threadpool(by_key, query)

    def by_text(query: Query) -> ShownAnswer:
        return _shown_answer(searcher, searcher.by_text(query.text, query.k, query.gallery, query.classes))

    def by_key(query: Query) -> ShownAnswer:
        if query.modality == "image" and not searcher.has_image(query.key):
            raise HTTPException(404, f"no row {query.key!r} with an image")
        try:
            answer = searcher.by_key(query.key, query.modality, query.k, query.gallery, query.classes)
        except KeyError as error:
            raise HTTPException(404, f"no row {query.key!r}") from error
        return _shown_answer(searcher, answer)


def _add_search_by_image(app: FastAPI, searcher: Searcher, most_upload: int, most_pixels: int) -> None:
    encoding = ThreadPoolExecutor(UPLOADS_AT_ONCE, "huse-upload")

    @app.post("/api/search/image", responses=SEARCH_REFUSALS)
    async def search_image(
        image: Annotated[UploadFile, File(description="An image's file.")],
        gallery: Annotated[GalleryName, Form()] = "other",
        classes: Annotated[Labels, Form()] = [],  # noqa: B006 - FastAPI copies it
        k: Annotated[int, Form(ge=1, le=MOST_HITS)] = 24,
    ) -> ShownAnswer:
        """The rows nearest to an image."""

        def answer() -> ShownAnswer:
            data = image.file.read(most_upload + 1)
            if len(data) > most_upload:
                raise HTTPException(413, f"more than {most_upload:,} bytes; send a smaller image")
            pixels = _pixels_within(data, most_pixels)
            try:
                return _shown_answer(searcher, searcher.by_image(data, k, gallery, classes))
            finally:
                if pixels > MANY_PIXELS:
                    give_back()

        return await asyncio.get_running_loop().run_in_executor(encoding, answer)


def _pixels_within(data: bytes, most: int) -> int:
    """How many pixels an image has by its header; one of too many is refused here, before it is decoded."""
    try:
        with opened_image(data, most, "most_pixels (--max-upload-pixels)") as image:
            return image.width * image.height
    except ImageError as error:
        raise QueryError(f"image bytes: {error}") from error


def _add_rows(app: FastAPI, searcher: Searcher) -> None:
    @app.post("/api/rows", responses=ROWS_REFUSALS)
    def rows(wanted: Keys) -> ShownRows:
        """Rows by their keys, such as those that were tagged."""
        return ShownRows(rows=[ShownRow(**_shown(searcher, row)) for row in searcher.rows_of(wanted.keys)])


def _add_images(app: FastAPI, searcher: Searcher) -> None:
    shown = ShownImages(searcher.model.max_pixels)

    @app.get("/images/{key:path}", response_class=Response, responses=IMAGE_REFUSALS)
    def image(key: str) -> Response:
        """The image of a row; nothing that no row names, and nothing but images."""
        source = searcher.image(key)
        if source is None:
            raise HTTPException(404, f"no image of row {key!r}")
        if is_on_the_web(source):
            return RedirectResponse(source)
        try:
            found = shown.show(source)
        except ImageError as error:
            raise HTTPException(404, f"no image of row {key!r}") from error
        return Response(found.data, media_type=found.media_type, headers=IMAGE_HEADERS)


def _shown_answer(searcher: Searcher, answer: Answer) -> ShownAnswer:
    hits = [ShownHit(score=hit.score, **_shown(searcher, hit)) for hit in answer.hits]
    return ShownAnswer(hits=hits, classes=answer.classes)


def _shown(searcher: Searcher, row: Hit) -> dict[str, Any]:
    return {
        "key": row.key,
        "label": row.label,
        "caption": row.caption,
        "has_image": searcher.has_image(row.key),
        "image": _path(searcher, row.key),
    }


def _path(searcher: Searcher, key: str) -> str:
    return f"/images/{quote(key, safe='')}" if searcher.image(key) is not None else ""
