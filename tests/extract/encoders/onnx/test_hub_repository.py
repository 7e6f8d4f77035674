"""`onnx:hf://ORG/NAME@REVISION` through huggingface_hub, against a small server on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import onnx_models
import pytest

from huse.extract.encoders import text_encoder
from huse.extract.encoders.onnx.hub_repository import HubRepository
from huse.features.errors import EncoderError

MAIN, OLD = 40 * "a", 40 * "b"

SCRIPT = """
import json, sys
from huse.extract.encoders import image_encoder, text_encoder
from huse.features.errors import HuseError
make = {"image": image_encoder, "text": text_encoder}[sys.argv[1]]
try:
    encoder = make("onnx:" + sys.argv[2])
    print(json.dumps({"known_as": encoder.spec.known_as, "fingerprint": encoder.spec.fingerprint}))
except HuseError as error:
    print(json.dumps({"error": str(error)}))
"""


class Hub(ThreadingHTTPServer):
    """Serves folders by revision; `asked` tells what was asked of it, and files of `cut_off` have no content."""

    def __init__(self, revisions: dict[str, tuple[str, Path]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.revisions, self.asked, self.cut_off = revisions, [], set()

    revisions: dict[str, tuple[str, Path]]
    asked: list[str]
    cut_off: set[str]


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(False)

    def do_GET(self) -> None:
        self.answer(True)

    def answer(self, content: bool) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        repository, _, rest = self.path.lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        if repository != "org/clip":
            return self.refuse(404, "RepoNotFound")
        if revision not in self.server.revisions:
            return self.refuse(404, "RevisionNotFound")
        commit, folder = self.server.revisions[revision]
        if not (folder / name).is_file():
            return self.refuse(404, "EntryNotFound", commit)
        data = (folder / name).read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if content and name not in self.server.cut_off:
            self.wfile.write(data)
        return None

    def refuse(self, status: int, why: str, commit: str = "") -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", why)
        if commit:
            self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    main, old = onnx_models.clip(tmp_path / "main"), onnx_models.clip(tmp_path / "old")
    onnx_models.vision_model(old / "onnx" / "vision_model.onnx", seed=7)
    onnx_models.sentence_encoder(main / "more")
    found = {"main": (MAIN, main), MAIN: (MAIN, main), "v1": (OLD, old), OLD: (OLD, old)}
    with Hub(found) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def made(hub: Hub, home: Path, modality: str, name: str, **environment: str) -> dict[str, str]:
    """What an encoder is known as, made in a process that takes this server for the hub."""
    settings = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(home), "HF_HUB_ETAG_TIMEOUT": "3"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, modality, name],
        env={**os.environ, **settings, "HF_HUB_DISABLE_TELEMETRY": "1", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_a_model_of_the_hub_is_pinned_to_its_commit_and_works_offline(hub: Hub, tmp_path: Path) -> None:
    home = tmp_path / "home"
    found = made(hub, home, "image", "hf://org/clip")
    assert found["known_as"] == f"onnx:hf://org/clip@{MAIN}"
    downloaded = {request.rpartition("/")[2] for request in hub.asked if request.startswith("GET")}
    assert downloaded == {"vision_model.onnx", "preprocessor_config.json"}
    local = text_encoder(f"onnx:{tmp_path}/main").spec.fingerprint
    assert made(hub, home, "text", "hf://org/clip")["fingerprint"] == local
    hub.asked.clear()
    assert made(hub, home, "image", found["known_as"].removeprefix("onnx:")) == found
    assert not hub.asked, "what is pinned and in the cache asks nobody"
    assert made(hub, home, "image", "hf://org/clip", HF_HUB_OFFLINE="1") == found
    assert made(hub, home, "text", "hf://org/clip", HF_HUB_OFFLINE="1")["fingerprint"] == local
    hub.shutdown()
    hub.server_close()
    assert made(hub, home, "image", "hf://org/clip") == found


def test_revisions_and_single_files_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    home = tmp_path / "home"
    old = made(hub, home, "image", "hf://org/clip@v1")
    assert old["known_as"] == f"onnx:hf://org/clip@{OLD}"
    assert old["fingerprint"] != made(hub, home, "image", "hf://org/clip")["fingerprint"]
    nested = made(hub, home, "text", "hf://org/clip/onnx/text_model.onnx#text_embeds")
    assert nested["known_as"] == f"onnx:hf://org/clip@{MAIN}/onnx/text_model.onnx#text_embeds"
    assert nested["fingerprint"] == made(hub, home, "text", "hf://org/clip")["fingerprint"]


def test_what_the_hub_has_not_is_one_line(hub: Hub, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name, message in {
        "hf://org/none": "cannot be had (",
        "hf://org/clip@v9": "cannot be had (",
        "hf://org/clip/onnx/none.onnx": "has no onnx/none.onnx; name a .onnx file itself",
    }.items():
        found = made(hub, home, "image", name)["error"]
        assert message in found
        assert "\n" not in found
    found = made(hub, tmp_path / "empty", "image", "hf://org/clip", HF_HUB_OFFLINE="1")["error"]
    assert "has no onnx/vision_model.onnx or" in found
    assert "(" in found, "and why nobody was asked"


def test_a_download_that_breaks_off_is_one_line_and_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.cut_off.add("preprocessor_config.json")
    found = made(hub, tmp_path / "home", "image", "hf://org/clip")["error"]
    assert "cannot be had (" in found
    assert "\n" not in found
    hub.cut_off.clear()
    assert "fingerprint" in made(hub, tmp_path / "home", "image", "hf://org/clip")


@pytest.mark.parametrize("written", ["hf://", "hf://clip", "hf://org/clip/x.txt", "hf://org/clip@", "hf://a/b@c/../d"])
def test_what_is_no_name_of_a_model_is_told_before_anybody_is_asked(written: str) -> None:
    with pytest.raises(EncoderError, match="write hf://ORG/NAME"):
        text_encoder(f"onnx:{written}")
    assert HubRepository.of("hf://org/name@v1/onnx/m.onnx").place == "hf://org/name@v1/onnx/m.onnx"
