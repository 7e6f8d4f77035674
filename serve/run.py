"""Listens on a port until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from huse.features.errors import ServeError
from huse.serve.app import make_app
from huse.serve.searcher import Searcher


def run_server(searcher: Searcher, host: str, port: int, most_upload: int, say: Callable[[str], None]) -> None:
    """Serves a page and an API until Ctrl-C.

    Args:
        searcher: what answers.
        host: address to listen on.
        port: 0 takes a free one.
        most_upload: bytes that an uploaded picture may have.
        say: receives the address once it listens.

    Raises:
        ServeError: the address or port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise ServeError(
                f"{host}:{port} cannot be had ({error.strerror}); give another --port or --host"
            ) from error
        local = host in ("127.0.0.1", "localhost", "::1")
        app = make_app(searcher, most_upload, () if local else ("*",))
        shown = f"[{host}]" if ":" in host else host
        say(f"{len(searcher)} rows at http://{shown}:{listening.getsockname()[1]}/ (Ctrl-C stops)")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
