"""The JSON API, called as a client would, and what it must refuse."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from samples import read_csv

from huse.embed.serve.app import make_app
from huse.embed.serve.searcher import Searcher


@pytest.fixture(scope="module")
def client(searcher: Searcher) -> TestClient:
    return TestClient(make_app(searcher, most_upload=50_000), base_url="http://localhost")


def test_it_tells_what_it_has(client: TestClient) -> None:
    info = client.get("/api/info").json()
    assert info["rows"] == 42
    assert [entry["rows"] for entry in info["classes"]] == [14, 14, 14]


def test_words_find_images(client: TestClient) -> None:
    reply = client.post("/api/search", json={"text": "wild animal", "k": 5}).json()
    assert [hit["label"] for hit in reply["hits"]] == ["animals & nature/animal mammal"] * 5
    assert reply["classes"][0]["label"] == "animals & nature/animal mammal"
    image = client.get(reply["hits"][0]["image"])
    assert image.status_code == 200
    assert image.headers["content-type"] == "image/png"
    assert image.content.startswith(b"\x89PNG")


def test_filters_and_galleries(client: TestClient) -> None:
    query = {"text": "wild animal", "classes": ["food & drink"], "gallery": "text", "k": 100}
    hits = client.post("/api/search", json=query).json()["hits"]
    assert {hit["label"] for hit in hits} == {"food & drink/food fruit"}
    assert len(hits) == 14
    query = {"text": "wild animal", "classes": ["nothing"]}
    assert client.post("/api/search", json=query).json()["hits"] == []


def test_an_image_finds_texts_and_its_class(client: TestClient, few_emoji: Path) -> None:
    fruit = next(row for row in read_csv(few_emoji) if row["label"].endswith("fruit"))
    data = (few_emoji.parent / fruit["image"]).read_bytes()
    reply = client.post("/api/search/image", files={"image": data}, data={"k": "5", "gallery": "text"}).json()
    assert reply["classes"][0]["label"] == fruit["label"]
    assert [hit["label"] for hit in reply["hits"]] == [fruit["label"]] * 5


def test_a_search_from_a_row(client: TestClient, few_emoji: Path) -> None:
    key = read_csv(few_emoji)[3]["key"]
    for modality in ("image", "text"):
        query = {"key": key, "modality": modality, "gallery": modality, "k": 3}
        reply = client.post("/api/search", json=query).json()
        assert reply["hits"][0]["key"] == key
        assert reply["hits"][0]["score"] == pytest.approx(1, abs=0.01)


def test_rows_are_told_by_their_keys(client: TestClient, few_emoji: Path) -> None:
    manifest = read_csv(few_emoji)
    keys = [manifest[7]["key"], "nobody", manifest[2]["key"], manifest[7]["key"]]
    rows = client.post("/api/rows", json={"keys": keys}).json()["rows"]
    assert [row["key"] for row in rows] == [keys[0], keys[2], keys[3]]
    assert rows[1] == {
        "key": keys[2],
        "label": manifest[2]["label"],
        "caption": manifest[2]["text"],
        "has_image": True,
        "image": f"/images/{quote(keys[2], safe='')}",
    }
    assert client.post("/api/rows", json={"keys": []}).json() == {"rows": []}
    assert client.post("/api/rows", json={"keys": keys * 51}).status_code == 422, "201 and more"


def test_every_script_of_the_page_is_there(client: TestClient) -> None:
    page = client.get("/").text
    assets = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)
    assert len(assets) == len(set(assets)) > 2
    for asset in assets:
        reply = client.get(asset)
        assert (reply.status_code, len(reply.text) > 100) == (200, True), asset
    assert "<script>" not in page
    assert " onclick=" not in page


def test_tags_are_kept_for_a_model_at_a_place(searcher: Searcher, client: TestClient, tmp_path: Path) -> None:
    gallery = client.get("/api/info").json()["gallery"]
    place = Path(shutil.copytree(searcher._engine.store.path, tmp_path / "other"))
    assert Searcher(searcher.model, searcher._engine.store.path).identity == gallery
    assert Searcher(searcher.model, place).identity != gallery
    assert str(place) not in gallery


def test_what_no_row_names_is_not_served(client: TestClient, few_emoji: Path) -> None:
    assert (few_emoji.parent / "few.csv").exists()
    for path in ("few.csv", "../few.csv", quote("../few.csv", safe=""), "images", "/etc/passwd", "%2Fetc%2Fpasswd", ""):
        assert client.get(f"/images/{path}").status_code == 404
    for path in ("/assets/app.py", "/assets/..%2Fapp.py", "/serve/app.py", "/swagger/..%2f..%2fapp.py"):
        assert client.get(path).status_code == 404


def test_bad_requests_are_told_why(client: TestClient) -> None:
    for body, status, message in (
        ({}, 400, "give either text or key"),
        ({"text": "a", "key": "b"}, 400, "give either text or key"),
        ({"text": "  "}, 400, "text 0 of 1 is empty"),
        ({"key": "nobody"}, 404, "no row 'nobody'"),
        ({"key": "nobody", "modality": "text"}, 404, "no row 'nobody'"),
    ):
        response = client.post("/api/search", json=body)
        assert (response.status_code, message in response.json()["detail"]) == (status, True)
    assert client.post("/api/search", json={"text": "a", "k": 10**6}).status_code == 422
    misspelt = client.post("/api/search", json={"text": "a", "class": ["flags"]})
    assert (misspelt.status_code, "class" in misspelt.json()["detail"]) == (422, True), misspelt.json()
    response = client.post("/api/search/image", files={"image": b"no image"})
    assert (response.status_code, "not an image" in response.json()["detail"]) == (400, True)


def test_every_refusal_is_described(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths["/api/rows"]["post"]["responses"]) == {"200", "403", "411", "413", "422"}
    for path in ("/api/search", "/api/search/image"):
        described = paths[path]["post"]["responses"]
        assert set(described) == {"200", "400", "403", "404", "411", "413", "422"}
        for status in ("400", "403", "404", "411", "413"):
            schema = described[status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Refusal"}
    assert set(paths["/images/{key}"]["get"]["responses"]) == {"200", "404", "422"}
    assert set(paths["/api/map"]["get"]["responses"]) == {"200", "202", "404"}


def test_uploads_are_limited_before_they_are_read(client: TestClient) -> None:
    assert client.post("/api/search/image", files={"image": b"x" * 60_000}).status_code == 413
    assert client.post("/api/search/image", files={"image": b"x" * 300_000}).status_code == 413

    def endless() -> object:
        yield b"x" * 1000

    for path in ("/api/search", "/api/rows"):
        assert client.post(path, content=endless()).status_code == 411  # type: ignore[arg-type]
        assert client.post(path, content=b" " * (2**20 + 1)).status_code == 413


def test_other_sites_cannot_reach_it_by_a_name_of_theirs(searcher: Searcher) -> None:
    foreign = TestClient(make_app(searcher), base_url="http://evil.example")
    assert foreign.get("/api/info").status_code == 400
    allowed = TestClient(make_app(searcher, hosts=("*",)), base_url="http://evil.example")
    assert allowed.get("/api/info").status_code == 200


def test_the_api_describes_itself_without_a_network(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    paths = described["paths"]
    assert '"null"' not in json.dumps(described), "the version it claims knows no such type"
    assert set(paths) == {"/api/info", "/api/search", "/api/search/image", "/api/rows", "/api/map", "/images/{key}"}
    page = client.get("/docs").text
    assert "https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert client.get(f"/swagger/{name}").status_code == 200


def test_the_map_has_a_point_for_every_vector(client: TestClient) -> None:
    while (response := client.get("/api/map")).status_code == 202:
        assert response.json()["ready"] is False
        time.sleep(0.1)
    space = response.json()
    assert response.status_code == 200, space
    assert client.get("/api/info").json()["map_ready"]
    assert (len(space["points"]), len(space["rows"]), space["of"]) == (84, 42, 42)
    assert client.get(space["rows"][0]["thumb"]).status_code == 200
