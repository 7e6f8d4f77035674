"""An S3 server on loopback, moto's, that counts requests, wants the right key, and may refuse some or never answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

KEY = "AKIAHUSETEST"


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:  # type: ignore[override]
        pass


@dataclass
class S3Server:
    """What a test may ask of the server.

    Attributes:
        url: its address.
        requests: method and path of those that came, in order.
        refuse_every: refuse every n-th with a 503, 0 for none.
        held: method and what the path ends with of requests that get no answer until `dropped`, and then a 503.
        holding: set when there is one.
    """

    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    refuse_every: int = 0
    refused: int = 0
    held: tuple[str, str] = ("", "")
    holding: Event = field(default_factory=Event)
    dropped: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def count(self, method: str, end: str = "") -> int:
        return sum(m == method and path.endswith(end) for m, path in self.requests)

    def environment(self) -> dict[str, str]:
        """By which a process reaches this server and no other."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def wrap(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            with self._lock:
                self.requests.append((method, path))
                refused = bool(self.refuse_every) and len(self.requests) % self.refuse_every == 0
                self.refused += refused
            if method == self.held[0] and path.endswith(self.held[1]):
                self.holding.set()
                refused = self.dropped.wait(60)
            if refused:
                return _error(environ, start, "503 Slow Down", "SlowDown", "Please reduce your request rate.")
            if KEY not in environ.get("HTTP_AUTHORIZATION", ""):
                text = "The AWS Access Key Id you provided does not exist in our records."
                return _error(environ, start, "403 Forbidden", "InvalidAccessKeyId", text)
            return app(environ, start)

        return answer


def _error(environ: dict[str, Any], start: Callable[..., Any], status: str, code: str, text: str) -> Iterable[bytes]:
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{text}</Message></Error>".encode()
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


@contextmanager
def s3_server() -> Iterator[S3Server]:
    mine = S3Server()
    app = mine.wrap(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    mine.url = f"http://127.0.0.1:{server.port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield mine
    finally:
        mine.dropped.set()
        server.shutdown()
        thread.join()
        server.server_close()
