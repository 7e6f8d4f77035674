"""What is refused before it is read, and how every refusal looks."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from huse.embed.serve.schema import whole_unicode
from huse.features.errors import HuseError

FORM_BYTES = 64 * 2**10
"""What the form around an uploaded image may take beside it."""

QUERY_BYTES = 2**20
"""What a query in JSON may take."""

PAGE_POLICY = "default-src 'self'; img-src 'self' data: blob: https: http:; style-src 'self' 'unsafe-inline'"

HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer that has none of its own."""


def add_limits(app: FastAPI, most_upload: int) -> None:
    """Refuses posts of other sites' pages, and bodies by their announced length; makes refusals JSON of one `detail`.

    Args:
        app: the application.
        most_upload: bytes that an uploaded image may have.
    """

    @app.middleware("http")
    async def limited(request: Request, forward: Any) -> Response:
        response = _refusal(request, most_upload) if request.method == "POST" else None
        if response is None:
            response = await forward(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(HuseError)
    async def refused(_: Request, error: HuseError) -> JSONResponse:
        return JSONResponse({"detail": whole_unicode(str(error))}, 400)

    @app.exception_handler(RequestValidationError)
    async def not_valid(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": whole_unicode(_first(error))}, 422)


def _refusal(request: Request, most_upload: int) -> JSONResponse | None:
    if not _is_of_this_site(request):
        detail = "sent by a page of another site; a server before this one has to pass on the host that it is called by"
        return JSONResponse({"detail": detail}, 403)
    return _length_refusal(request, most_upload)


def _is_of_this_site(request: Request) -> bool:
    """Whether a page of this server sent it, or no page at all: browsers tell the origin of all that pages post."""
    origin = request.headers.get("origin")
    return origin is None or origin.lower().partition("://")[2] == request.headers.get("host", "").lower()


def _length_refusal(request: Request, most_upload: int) -> JSONResponse | None:
    sends_image = request.url.path == "/api/search/image"
    most = most_upload + FORM_BYTES if sends_image else QUERY_BYTES
    length = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers or not (length.isascii() and length.isdecimal()):
        return JSONResponse({"detail": "send the content-length of the body"}, 411)
    if len(length.lstrip("0")) > len(str(most)) or int(length) > most:
        what = "image" if sends_image else "query"
        return JSONResponse({"detail": f"more than {most:,} bytes; send a smaller {what}"}, 413)
    return None


def _first(error: RequestValidationError) -> str:
    """Where the first fault is and what it is, without the value, which may be anything."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or first["loc"][0]
    return f"{field}: {first['msg']}"
