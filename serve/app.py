"""`huse serve`: one page and a JSON API over a `Searcher`, on one port."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware
from swagger_ui_bundle import swagger_ui_path

from huse import __version__
from huse.embed.map_page import asset
from huse.features.errors import QueryError
from huse.serve.searcher import Answer, Searcher

MOST_UPLOAD = 20 * 2**20
"""Bytes of a picture that may be sent, unless told."""

MOST_HITS = 200
FORM_BYTES = 64 * 2**10
"""What the form around an uploaded picture may take beside it."""

PAGE_POLICY = "default-src 'self'; img-src 'self' data: blob: https: http:; style-src 'self' 'unsafe-inline'"

OPENAPI_VERSION = "3.0.3"
"""What the bundled page of the API can show; so no value here may be null."""

Gallery = Literal["other", "image", "text", "fused"]
"""What to compare with: ``other`` is the other kind than the query."""


class Query(BaseModel):
    """A search by words, or from a row; give one of `text` and `key`."""

    text: str = Field("", description="What to search for.", max_length=10_000)
    key: str = Field("", description="Search from the row of this key.")
    modality: Literal["image", "text"] = Field("image", description="With `key`: from its picture or from its text.")
    gallery: Gallery = Field("other", description="Compare with pictures, texts, both, or the other kind.")
    classes: list[str] = Field([], description="Only rows of these label paths, or below them.")
    k: int = Field(24, ge=1, le=MOST_HITS, description="Most hits.")


class Found(BaseModel):
    """A row found."""

    key: str
    score: float
    label: str
    caption: str
    picture: str = Field(description="Path of its picture on this server; empty when it has none.")


class Guessed(BaseModel):
    """A class that the query may belong to."""

    label: str
    probability: float


class Reply(BaseModel):
    """The nearest rows, nearest first, and the most probable classes of the query."""

    hits: list[Found]
    classes: list[Guessed]


class Counted(BaseModel):
    """A class, and how many rows it has."""

    label: str
    rows: int


class Refusal(BaseModel):
    """Why a request was not answered."""

    detail: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": description}
    for status, description in (
        (400, "The query cannot be used."),
        (404, "There is no such row."),
        (411, "The length of the body was not announced."),
        (413, "The picture is too large."),
    )
}
NO_PICTURE: dict[int | str, dict[str, Any]] = {
    404: {"model": Refusal, "description": "There is no picture of such a row."}
}


class Info(BaseModel):
    """What is served."""

    rows: int
    classes: list[Counted]
    fingerprint: str = Field(description="Of the model.")
    most_upload: int = Field(description="Bytes that an uploaded picture may have.")


def make_app(searcher: Searcher, most_upload: int = MOST_UPLOAD, hosts: tuple[str, ...] = ()) -> FastAPI:
    """The application.

    Args:
        searcher: what answers.
        most_upload: bytes that an uploaded picture may have.
        hosts: names by which the server may be called beside localhost; ``*`` allows all. Pages of other sites cannot
            reach it under a name of theirs.
    """
    app = FastAPI(title="huse", version=__version__, docs_url=None, redoc_url=None)
    app.openapi_version = OPENAPI_VERSION
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]", "testserver", *hosts])
    app.mount("/swagger", StaticFiles(directory=swagger_ui_path))
    _limit_uploads(app, most_upload)
    _add_pages(app)
    _add_api(app, searcher, most_upload)
    return app


def _limit_uploads(app: FastAPI, most: int) -> None:
    @app.middleware("http")
    async def limited(request: Request, forward: Any) -> Response:
        """Refuses a body by its announced length, before it is read; one of unknown length is not taken at all."""
        if request.method == "POST":
            length = request.headers.get("content-length", "")
            if not length.isdecimal():
                return JSONResponse({"detail": "send the content-length of the body"}, 411)
            if int(length) > most + FORM_BYTES:
                return JSONResponse({"detail": f"more than {most:,} bytes; send a smaller picture"}, 413)
        response: Response = await forward(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @app.exception_handler(QueryError)
    async def refused(_: Request, error: QueryError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)


def _add_pages(app: FastAPI) -> None:
    here = files("huse.serve")
    texts = {name: (here / name).read_text(encoding="utf-8") for name in ("index.html", "page.js", "page.css")}
    texts |= {name: asset(name) for name in ("map.js", "map.css")}
    kinds = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def index() -> HTMLResponse:
        return HTMLResponse(texts["index.html"], headers={"Content-Security-Policy": PAGE_POLICY})

    @app.get("/assets/{name}", include_in_schema=False)
    def assets(name: str) -> Response:
        if name not in texts:
            raise HTTPException(404, "no such file")
        return Response(texts[name], media_type=kinds[Path(name).suffix])

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        """The API's page, from files of this server alone."""
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="huse API",
            swagger_js_url="/swagger/swagger-ui-bundle.js",
            swagger_css_url="/swagger/swagger-ui.css",
            swagger_favicon_url="/swagger/favicon-32x32.png",
        )


def _add_api(app: FastAPI, searcher: Searcher, most_upload: int) -> None:
    @app.get("/api/info")
    def info() -> Info:
        """Rows and classes that can be found."""
        classes = [Counted(label=label, rows=rows) for label, rows in searcher.class_counts]
        fingerprint = searcher.model.trained.fingerprint
        return Info(rows=len(searcher), classes=classes, fingerprint=fingerprint, most_upload=most_upload)

    @app.post("/api/search", responses=REFUSALS)
    def search(query: Query) -> Reply:
        """The rows nearest to words, or to another row."""
        if bool(query.text) == bool(query.key):
            raise HTTPException(400, "give either text or key")
        if query.text:
            return _reply(searcher, searcher.by_text(query.text, query.k, query.gallery, query.classes))
        if searcher.picture(query.key) is None and query.modality == "image":
            raise HTTPException(404, f"no row {query.key!r} with a picture")
        try:
            answer = searcher.by_key(query.key, query.modality, query.k, query.gallery, query.classes)
        except KeyError as error:
            raise HTTPException(404, f"no row {query.key!r}") from error
        return _reply(searcher, answer)

    @app.post("/api/search/picture", responses=REFUSALS)
    def search_picture(
        picture: Annotated[UploadFile, File(description="A picture's file.")],
        gallery: Annotated[Gallery, Form()] = "other",
        classes: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
        k: Annotated[int, Form(ge=1, le=MOST_HITS)] = 24,
    ) -> Reply:
        """The rows nearest to a picture."""
        data = picture.file.read(most_upload + 1)
        if len(data) > most_upload:
            raise HTTPException(413, f"more than {most_upload:,} bytes; send a smaller picture")
        return _reply(searcher, searcher.by_picture(data, k, gallery, classes))

    @app.get("/api/map")
    def space() -> dict[str, Any]:
        """The space in two dimensions; the first call takes a while."""
        rows = [{**row, "thumb": _path(searcher, row["key"])} for row in searcher.map["rows"]]
        return {**searcher.map, "rows": rows}

    @app.get("/pictures/{key:path}", response_class=FileResponse, responses=NO_PICTURE)
    def picture(key: str) -> Response:
        """The picture of a row; nothing that no row names is served."""
        found = searcher.picture(key)
        if found is not None and found.startswith(("http://", "https://")):
            return RedirectResponse(found)
        if found is None or not Path(found).is_file():
            raise HTTPException(404, f"no picture of row {key!r}")
        return FileResponse(found)


def _reply(searcher: Searcher, answer: Answer) -> Reply:
    hits = [
        Found(key=h.key, score=h.score, label=h.label, caption=h.caption, picture=_path(searcher, h.key))
        for h in answer.hits
    ]
    return Reply(hits=hits, classes=[Guessed(label=g.label, probability=g.probability) for g in answer.classes])


def _path(searcher: Searcher, key: str) -> str:
    return f"/pictures/{quote(key, safe='')}" if searcher.picture(key) is not None else ""
