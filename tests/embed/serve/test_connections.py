"""Clients that let the server wait, over real sockets."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image
from samples import random_embeddings
from stub_model import StubModel
from uvicorn.protocols.http.h11_impl import H11Protocol

from huse.embed.serve.connections import Patience
from huse.embed.serve.searcher import Searcher
from huse.embed.serve.serve import run_server

PATIENCE = Patience(head=1.0, body=2.0, read=2.0)
FOR_EVER = 90.0
"""Seconds after which a connection counts as kept for ever, however busy the machine is; a drip lasts longer."""
HEAD = b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
PERCENT = ["50 % off", "a%41", "..%2F..", "%", "%zz/é"]


class Log(logging.Handler):
    """Notes that it was closed, as by whoever sets up all logging anew."""

    closed = False

    def close(self) -> None:
        self.closed = True
        super().close()


@pytest.fixture(scope="module")
def log() -> Iterator[Log]:
    made = Log()
    yield made
    made.close()


@pytest.fixture(scope="module")
def model() -> StubModel:
    return StubModel()


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def lost() -> defaultdict[tuple[str, int], threading.Event]:
    """By the address of a client, whether the server has let it go."""
    return defaultdict(threading.Event)


@pytest.fixture(scope="module")
def port(
    log: Log,
    model: StubModel,
    said: list[str],
    lost: defaultdict[tuple[str, int], threading.Event],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[int]:
    store = random_embeddings(tmp_path_factory.mktemp("sockets") / "e")
    rows = store.read(0)
    rows.key[: len(PERCENT)] = PERCENT
    rows.uri[:] = "a.png"
    store.write(0, rows)
    Image.new("L", (3, 3)).save(store.path.parent / "a.png")
    told = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        told.set()

    searcher = Searcher(model, store.path)  # type: ignore[arg-type]

    let_go = H11Protocol.connection_lost

    def connection_lost(self: H11Protocol, exc: Exception | None) -> None:
        lost[self.client].set()  # type: ignore[index]
        let_go(self, exc)

    arguments = (searcher, "127.0.0.1", 0, 10**6, say, 10**6, PATIENCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(H11Protocol, "connection_lost", connection_lost)
        threading.Thread(target=run_server, args=arguments, daemon=True).start()
        assert told.wait(FOR_EVER)
        found = re.search(r"127.0.0.1:(\d+)", said[0])
        assert found
        yield int(found.group(1))


def connected(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port))
    made.settimeout(20)
    return made


def is_closed(connection: socket.socket, drip: bytes = b"") -> bool:
    """Waits until the server lets a connection go; a byte of `drip` is sent times. False: it never does."""
    start, sent = time.monotonic(), 0
    connection.settimeout(0.2)
    while time.monotonic() - start < FOR_EVER:
        try:
            if drip:
                connection.sendall(drip[sent : sent + 1])
                sent += 1
            if not connection.recv(65536):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_it_says_when_it_is_ready(port: int, said: list[str]) -> None:
    while not httpx.get(f"http://127.0.0.1:{port}/api/info").json()["ready"]:
        time.sleep(0.05)
    for _ in range(100):
        if said[-1] == "ready":
            break
        time.sleep(0.05)
    assert said[-1] == "ready"


def test_the_logging_of_the_process_stays(port: int, log: Log) -> None:
    assert httpx.get(f"http://127.0.0.1:{port}/api/info").status_code == 200
    assert not log.closed


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"", b""),
        (b"", b"GET / HTTP/1.1\r\nX: " + b"a" * 500),
        (b"GET / HTTP/1.1\r\n", b""),
        (HEAD, b""),
        (HEAD, b" " * 490),
        (b"GET /api/info HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
        (b"GET /api/info HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 500),
    ],
)
def test_who_lets_it_wait_is_let_go(port: int, first: bytes, drip: bytes) -> None:
    with connected(port) as connection:
        connection.sendall(first)
        assert is_closed(connection, drip)


def test_who_does_not_read_is_let_go(port: int, lost: defaultdict[tuple[str, int], threading.Event]) -> None:
    connection = socket.socket()
    with connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        request = b"GET /swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
        name = connection.getsockname()
        connection.sendall(request * 20)
        assert lost[name].wait(FOR_EVER)
        connection.settimeout(20)
        received = 0
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65536):
                received += len(part)
        whole = int(httpx.head(f"http://127.0.0.1:{port}/swagger/swagger-ui-bundle.js").headers["content-length"])
        assert received < 20 * whole


def test_keys_with_percent_signs_find_their_images(port: int) -> None:
    address = f"http://127.0.0.1:{port}"
    hits = httpx.post(f"{address}/api/search", json={"text": "a", "k": 60}, timeout=FOR_EVER).json()["hits"]
    images = {hit["key"]: hit["image"] for hit in hits}
    for key in PERCENT:
        assert httpx.get(f"{address}{images[key]}").headers["content-type"] == "image/png"


def test_silent_connections_keep_nobody_out(port: int) -> None:
    silent = [connected(port) for _ in range(200)]
    assert httpx.post(f"http://127.0.0.1:{port}/api/search", json={"text": "a"}, timeout=FOR_EVER).status_code == 200
    assert all(is_closed(connection) for connection in silent)
    for connection in silent:
        connection.close()


def test_few_uploads_are_decoded_at_a_time_and_texts_do_not_wait(port: int, model: StubModel) -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (900, 900)).save(buffer, "PNG")

    def upload(_: int) -> int:
        files = {"image": buffer.getvalue()}
        return httpx.post(f"http://127.0.0.1:{port}/api/search/image", files=files, timeout=FOR_EVER).status_code

    with ThreadPoolExecutor(24) as clients:
        answers = clients.map(upload, range(24))
        time.sleep(0.3)
        assert (
            httpx.post(f"http://127.0.0.1:{port}/api/search", json={"text": "a"}, timeout=FOR_EVER).status_code == 200
        )
        assert set(answers) == {200}
    assert 1 <= model.most_decoding <= 2
