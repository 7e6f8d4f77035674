"""What strangers send: bodies of any kind, keys of any kind, rows that name any file."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from samples import embedding_spec, random_embeddings
from stub_model import StubModel

from huse.embed.draw.projection import Points, lay_out
from huse.embed.serve.app import make_app
from huse.embed.serve.searcher import Searcher
from huse.features.errors import EncoderError, StoreError
from huse.features.rows import Rows
from huse.features.store import Store

KEYS = ["a/b?c#d e", '"><script>alert(1)</script>', "été 猫 🐈", "../..", "a\tb", "'", "x" * 300]


class TextModel(StubModel):
    """A model without an image tower."""

    trained = SimpleNamespace(
        embedding_spec=lambda modality: embedding_spec("text") if modality == "text" else None, fingerprint="0"
    )


def drawn(rows: Rows) -> Points:
    return lay_out(rows, "pca")


def store_of(path: Path, change: Callable[[Rows], None] = lambda _: None, n: int = 20) -> Store:
    store = random_embeddings(path / "e", n)
    rows = store.read(0)
    change(rows)
    store.write(0, rows)
    return store


def client_of(store: Store, model: Any = None, draw: Callable[[Rows], Points] = drawn, **options: Any) -> TestClient:
    searcher = Searcher(model or StubModel(), store.path, draw=draw)
    return TestClient(make_app(searcher, **options), base_url="http://localhost", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return client_of(store_of(tmp_path_factory.mktemp("hostile")), most_upload=200_000, most_pixels=1_000_000)


def png(size: tuple[int, int], mode: str = "1") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, "PNG")
    return buffer.getvalue()


def test_pages_of_other_sites_cannot_post(client: TestClient) -> None:
    for origin, status in (
        ("http://localhost", 200),
        ("https://LOCALHOST", 200),
        ("http://localhost:99", 403),
        ("https://evil.example", 403),
        ("http://evil.example/localhost", 403),
        ("null", 403),
        ("", 403),
    ):
        reply = client.post("/api/search", json={"text": "a"}, headers={"Origin": origin})
        assert reply.status_code == status, origin
    assert "a page of another site" in reply.json()["detail"]


def test_a_length_beside_chunks_is_not_believed(client: TestClient) -> None:
    headers = {"Content-Length": "10", "Transfer-Encoding": "chunked"}
    reply = client.post("/api/search", content=b'{"text": "' + b"a" * 2**21 + b'"}', headers=headers)
    assert (reply.status_code, reply.json()) == (411, {"detail": "send the content-length of the body"})


def test_what_is_refreshed_while_it_is_loaded_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(tmp_path)
    read = Store.read_stored

    def refreshed(self: Store, number: int) -> Rows:
        rows = read(self, number)
        store.write(number, rows.take(range(len(rows))[::-1]))
        return rows

    monkeypatch.setattr(Store, "read_stored", refreshed)
    with pytest.raises(StoreError, match="was written while it was read; start again"):
        Searcher(StubModel(), store.path)  # type: ignore[arg-type]


def test_only_images_of_rows_with_an_image_are_sent(tmp_path: Path) -> None:
    names = [
        "a.png",
        "/etc/hostname",
        "page.html",
        "s.svg",
        "a.png",
        "https://shop.example/a.jpg",
        "ftp://host/a.png",
        "",
    ]
    (tmp_path / "a.png").write_bytes(png((9, 7)))
    (tmp_path / "page.html").write_text("<script>alert(1)</script>")
    (tmp_path / "s.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')

    def change(rows: Rows) -> None:
        rows.uri[: len(names)] = names
        rows.image.present[4] = False
        rows.image.vectors[4] = 0

    client = client_of(store_of(tmp_path, change))
    sent = client.get("/images/row%200")
    assert (sent.status_code, sent.headers["content-type"]) == (200, "image/png")
    assert "default-src 'self'" in sent.headers["content-security-policy"]
    assert sent.headers["x-content-type-options"] == "nosniff"
    for i in (1, 2, 3, 4, 6, 7, 8):
        refused = client.get(f"/images/row%20{i}")
        assert (refused.status_code, refused.json()) == (404, {"detail": f"no image of row 'row {i}'"})
    away = client.get("/images/row%205", follow_redirects=False)
    assert (away.status_code, away.headers["location"]) == (307, names[5])
    hits = client.post("/api/search", json={"text": "a", "k": 20}).json()["hits"]
    images = {hit["key"]: hit["image"] for hit in hits}
    assert (images["row 0"], images["row 5"]) == ("/images/row%200", "/images/row%205")
    assert {images[f"row {i}"] for i in (6, 7, 8)} == {""}, "what cannot be shown is absent, not broken"
    assert client.post("/api/search", json={"key": "row 7", "modality": "image"}).status_code == 200
    assert client.post("/api/search", json={"key": "row 4", "modality": "image"}).status_code == 404


def test_keys_of_any_kind_find_their_images(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png((9, 7)))

    def change(rows: Rows) -> None:
        rows.key[: len(KEYS)] = KEYS
        rows.uri[:] = "a.png"

    client = client_of(store_of(tmp_path, change))
    hits = client.post("/api/search", json={"text": "a", "k": 20}).json()["hits"]
    assert {hit["key"] for hit in hits} >= set(KEYS)
    for hit in hits:
        assert client.get(hit["image"]).content == (tmp_path / "a.png").read_bytes()
        reply = client.post("/api/search", json={"key": hit["key"], "modality": "text", "gallery": "text", "k": 1})
        assert reply.json()["hits"][0]["key"] == hit["key"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"text": "\\ud800"}', 200),
        (b'{"text": "\\ud83d\\ude00"}', 200),
        (b'{"text": "a\\u0000b"}', 200),
        (b'{"text": "a", "classes": ["\\udfff"]}', 200),
        (b'{"key": "\\ud800", "modality": "text"}', 404),
        (b'{"key": "\\u0000"}', 404),
        (b'{"text": "a", "k": NaN}', 422),
        (b'{"text": "a", "k": Infinity}', 422),
        (b'{"text": "a", "k": 1e400}', 422),
        (b'{"text": "a", "k": "\\ud800"}', 422),
        (b'{"text": "a", "k": 0}', 422),
        (b'{"text": "a", "k": -1}', 422),
        (b'{"text": "a", "k": 201}', 422),
        (b'{"text": "a", "k": null}', 422),
        (b'{"text": ["\\ud800"]}', 422),
        (b'{"text": {"a": 1}}', 422),
        (b'{"text": 5}', 422),
        (b'{"text": "a", "gallery": "\\ud800"}', 422),
        (b'{"text": "a", "classes": "flags"}', 422),
        (b'{"text": "a", "classes": [1]}', 422),
        (b'{"\\ud800": 1}', 400),
        (b"[]", 422),
        (b"null", 422),
        (b"", 422),
        (b"{", 422),
        (b'"\\ud800"', 422),
        (b"\xff\xfe{}", 400),
        (b"[" * 100_000, 400),
        (b'{"text": "' + b"a" * 10_001 + b'"}', 422),
        (b'{"text": "a", "classes": [' + b",".join([b'"a"'] * 1001) + b"]}", 422),
        (b'{"text": "' + b"a" * 2**20 + b'"}', 413),
        (b'{"k": ' + b"9" * 5000 + b"}", 400),
    ],
)
def test_queries_of_any_kind(client: TestClient, body: bytes, status: int) -> None:
    reply = client.post("/api/search", content=body, headers={"content-type": "application/json"})
    assert reply.status_code in ((400, 422) if status in (400, 422) else (status,)), reply.text
    if status != 200:
        assert list(reply.json()) == ["detail"]
        assert isinstance(reply.json()["detail"], str)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=20),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=5), part, max_size=4),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.fixed_dictionaries({}, optional=dict.fromkeys(("text", "key", "k", "classes", "gallery", "modality"), JSON))
)
def test_no_json_is_an_error_of_the_server(client: TestClient, body: dict[str, Any]) -> None:
    reply = client.post("/api/search", content=json.dumps(body).encode(), headers={"content-type": "application/json"})
    assert reply.status_code in (200, 400, 404, 422), reply.text
    assert reply.status_code == 200 or isinstance(reply.json()["detail"], str)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=JSON | st.fixed_dictionaries({"keys": JSON | st.lists(st.sampled_from(["row 1", "", "\ud800", "x" * 300]))})
)
def test_keys_of_any_kind_are_no_error_of_the_server(client: TestClient, body: Any) -> None:
    reply = client.post("/api/rows", content=json.dumps(body).encode(), headers={"content-type": "application/json"})
    assert reply.status_code in (200, 400, 422), reply.text
    assert reply.status_code != 200 or all(row["key"] == "row 1" for row in reply.json()["rows"])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=200),
    start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF"]),
)
def test_no_upload_is_an_error_of_the_server(client: TestClient, data: bytes, start: bytes) -> None:
    reply = client.post("/api/search/image", files={"image": start + data})
    assert reply.status_code in (200, 400), reply.text


@pytest.mark.parametrize(
    ("headers", "body", "statuses"),
    [
        ({"content-type": "multipart/form-data"}, b"x", (400, 422)),
        ({"content-type": "multipart/form-data; boundary=a"}, b"--a\r\n\r\n\r\n--a--", (400, 422)),
        ({"content-type": "multipart/form-data; boundary=a"}, b"\xff" * 50, (400, 422)),
        ({"content-type": "application/json"}, b"{}", (422,)),
        ({}, b"", (422,)),
    ],
)
def test_forms_of_any_kind(client: TestClient, headers: dict[str, str], body: bytes, statuses: tuple[int, ...]) -> None:
    reply = client.post("/api/search/image", content=body, headers=headers)
    assert reply.status_code in statuses, reply.text
    assert isinstance(reply.json()["detail"], str)


def test_a_store_of_texts_alone_is_searched_by_default(tmp_path: Path) -> None:
    client = client_of(random_embeddings(tmp_path / "e", has_image=False), TextModel())
    assert client.get("/api/info").json()["galleries"] == ["text", "fused"]
    assert len(client.post("/api/search", json={"text": "a", "k": 5}).json()["hits"]) == 5
    assert client.post("/api/search", json={"text": "a", "gallery": "image"}).json()["hits"] == []


def test_uploads_of_many_pixels_are_refused_undecoded(tmp_path: Path) -> None:
    model = StubModel()
    client = client_of(store_of(tmp_path), model, most_pixels=1_000_000)
    for size in ((1001, 1000), (1, 1_000_001)):
        reply = client.post("/api/search/image", files={"image": png(size)})
        assert reply.status_code == 400
        assert "most_pixels (--max-upload-pixels) allows 1000000" in reply.json()["detail"]
    assert model.most_decoding == 0
    assert client.post("/api/search/image", files={"image": png((1000, 1000))}).status_code == 200
    assert client.get("/api/info").json()["most_pixels"] == 1_000_000


def test_keys_of_any_kind_in_the_path(client: TestClient) -> None:
    for path in (
        "%00",
        "%ff",
        "%ud800",
        quote("\u2028"),
        "a" * 5000,
        "%2e%2e%2f",
        "..%5c..%5cetc",
        "https:%2f%2fevil.example",
    ):
        reply = client.get(f"/images/{path}")
        assert (reply.status_code, list(reply.json())) == (404, ["detail"]), path


def test_searches_are_answered_while_the_map_is_drawn(tmp_path: Path) -> None:
    answered = threading.Event()

    def slow(rows: Rows) -> Points:
        assert answered.wait(120)
        return drawn(rows)

    client = client_of(store_of(tmp_path), draw=slow)
    while not client.get("/api/info").json()["ready"]:
        time.sleep(0.02)
    reply = client.get("/api/map")
    assert (reply.status_code, reply.json()["ready"]) == (202, False)
    assert "the map of 20 rows is being drawn" in reply.json()["detail"]
    for query in ({"text": "a"}, {"key": "row 1", "modality": "text"}, {"key": "row 1"}):
        assert client.post("/api/search", json=query).status_code == 200
    assert not client.get("/api/info").json()["map_ready"], "all were answered before it was done"
    answered.set()
    while client.get("/api/map").status_code == 202:
        time.sleep(0.05)
    assert len(client.get("/api/map").json()["points"]) == 40


@pytest.mark.parametrize("n", [1, 2])
def test_the_map_of_few_rows(n: int, tmp_path: Path) -> None:
    client = client_of(store_of(tmp_path, n=n))
    while client.get("/api/map").status_code == 202:
        time.sleep(0.02)
    reply = client.get("/api/map")
    if n == 1:
        assert (reply.status_code, "at least three" in reply.json()["detail"]) == (404, True)
    else:
        assert len(reply.json()["points"]) == 4


def test_a_map_that_fails_costs_the_map_alone(tmp_path: Path) -> None:
    def broken(_: Rows) -> Points:
        raise RuntimeError("no luck")

    client = client_of(store_of(tmp_path), draw=broken)
    while client.get("/api/map").status_code == 202:
        time.sleep(0.02)
    assert client.get("/api/map").json() == {"detail": "the map cannot be drawn (RuntimeError: no luck)"}
    assert client.post("/api/search", json={"text": "a"}).status_code == 200


def test_encoders_are_built_once_and_what_cannot_be_is_told(tmp_path: Path) -> None:
    model = StubModel([EncoderError("no such weights")], threading.Event())
    client = client_of(store_of(tmp_path), model)
    assert client.get("/api/info").json()["ready"] is False
    model.may_warm.set()
    while not client.get("/api/info").json()["ready"]:
        time.sleep(0.02)
    make_app(Searcher(model, tmp_path / "e", draw=drawn))  # type: ignore[arg-type]
    assert client.get("/api/info").json()["problems"] == ["no such weights"]
    assert model.warmed == 2, "once a searcher"


def test_images_that_are_not_there_are_told_with_their_place(tmp_path: Path) -> None:
    store = store_of(tmp_path, lambda rows: rows.uri.__setitem__(slice(None), "images/a.png"))
    assert Searcher(StubModel(), store.path).lost_images == (  # type: ignore[arg-type]
        f"none of 20 images is there, the first was looked for at {tmp_path}/images/a.png; "
        "name their folder by folder (--images)"
    )
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(png((2, 2)))
    assert Searcher(StubModel(), store.path).lost_images == ""  # type: ignore[arg-type]
