"""Listens on a port until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import uvicorn

from huse.embed.serve.app import MOST_UPLOAD_PIXELS, make_app
from huse.embed.serve.connections import Patience, timed_protocol
from huse.embed.serve.searcher import Searcher
from huse.features.counted import counted
from huse.features.errors import ServeError

WAITING = 2048
"""Connections that the system keeps while others are taken up."""


def run_server(
    searcher: Searcher,
    host: str,
    port: int,
    most_upload: int,
    say: Callable[[str], None],
    most_pixels: int = MOST_UPLOAD_PIXELS,
    patience: Patience = Patience(),
) -> None:
    """Serves a page and an API until Ctrl-C.

    Args:
        searcher: what answers.
        host: address to listen on.
        port: 0 takes a free one.
        most_upload: bytes that an uploaded image may have.
        say: receives the address once it listens, and a line when all kinds of queries are answered at once.
        most_pixels: pixels that an uploaded image may have.
        patience: how long clients may take.

    Raises:
        ServeError: the address or port cannot be had.
    """
    with _listening(host, port) as listening:
        local = host in ("127.0.0.1", "localhost", "::1")
        app = make_app(searcher, most_upload, () if local else ("*",), most_pixels)
        shown = f"[{host}]" if ":" in host else host
        say(f"{counted(len(searcher), 'row')} at http://{shown}:{listening.getsockname()[1]}/ (Ctrl-C stops)")
        if searcher.lost_images:
            say(searcher.lost_images)
        Thread(target=_tell_when_ready, args=(searcher, say), daemon=True).start()
        # its own log_config would end all logging of the process, and with it absl's, which closes what it writes to
        config = uvicorn.Config(
            app, log_config=None, log_level="warning", http=timed_protocol(patience), ws="none", backlog=WAITING
        )
        with suppress(KeyboardInterrupt):  # it is how a server is stopped
            uvicorn.Server(config).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(WAITING)  # from here on clients can connect, and the address can be told
    except OSError as error:
        made.close()
        raise ServeError(
            f"{host}:{port} cannot be had ({error.strerror}); give another port (--port) or host (--host)"
        ) from error
    return made


def _tell_when_ready(searcher: Searcher, say: Callable[[str], None]) -> None:
    searcher.wait_until_ready()
    for problem in searcher.problems:
        say(f"some queries cannot be answered: {problem}")
    say("ready")
