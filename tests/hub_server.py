"""A small Hugging Face hub on loopback: repositories of models that huggingface_hub makes, fills, lists and reads."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_a_test"
LARGE = (".keras", ".npy")


@dataclass
class Repository:
    """The commits of a repository, the newest last, each with all its files."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def at(self, revision: str) -> str | None:
        if revision == "main":
            return list(self.commits)[-1] if self.commits else "0" * 40
        return revision if revision in self.commits else None


class HubServer(ThreadingHTTPServer):
    """`requests` tells what was asked of it; commits to the repository `full` are refused."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.full = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def python(self, script: str, *arguments: object, home: Path, **environment: str) -> Any:
        """What a process that takes this server for the hub prints as JSON, at last."""
        settings = {"HF_ENDPOINT": self.url, "HF_HOME": str(home)}
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            env={**os.environ, **settings, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


class Handler(BaseHTTPRequestHandler):
    server: HubServer

    def do_HEAD(self) -> None:
        self.file(False)

    def do_GET(self) -> None:
        self.api() if self.path.startswith("/api/") else self.file(True)

    def do_POST(self) -> None:
        self.api()

    def do_PUT(self) -> None:
        self.server.large[self.path.rpartition("/")[2]] = self.body()
        self.answer({})

    def api(self) -> None:
        body = self.body()
        self.server.requests.append(f"{self.command} {urlsplit(self.path).path}")
        match urlsplit(self.path).path.strip("/").split("/"):
            case ["api", "validate-yaml"]:
                self.answer({"warnings": [], "errors": []})
            case ["api", "repos", "create"]:
                self.create(json.loads(body))
            case [org, name, "info", "lfs", "objects", "batch"]:
                self.batch(f"{org}/{name.removesuffix('.git')}", json.loads(body))
            case ["api", "models", org, name, *rest]:
                self.model(f"{org}/{name}", [unquote(part) for part in rest], body)
            case _:
                self.refuse(404, "EntryNotFound")

    def model(self, repository: str, rest: list[str], body: bytes) -> None:
        found = self.readable(repository)
        if found is None:
            return None
        what, revision = rest or ["revision", "main"]
        commit = found.at(revision)
        if commit is None:
            return self.refuse(404, "RevisionNotFound")
        files = found.commits.get(commit, {})
        if what == "revision":
            names = [{"rfilename": name} for name in files]  # which older versions download by
            return self.answer(
                {"id": repository, "sha": commit, "private": found.private, "siblings": names, "tags": []}
            )
        if what == "tree":
            return self.answer([entry(name, data) for name, data in files.items()])
        if what == "preupload":
            modes = [
                (file["path"], "lfs" if file["path"].endswith(LARGE) else "regular")
                for file in json.loads(body)["files"]
            ]
            return self.answer({"files": [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes]})
        return self.commit(repository, found, files, [json.loads(line) for line in body.splitlines()])

    def commit(self, name: str, found: Repository, files: dict[str, bytes], steps: list[dict[str, Any]]) -> None:
        if name == self.server.full:
            return self.refuse(507, "")
        files = dict(files)
        for step in steps:
            value = step["value"]
            if step["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif step["key"] == "deletedFile":
                del files[value["path"]]
        commit = hashlib.sha1(f"{len(found.commits)}{name}".encode()).hexdigest()
        found.commits[commit] = files
        url = f"{self.server.url}/{name}/commit/{commit}"
        return self.answer({"commitOid": commit, "commitUrl": url, "success": True})

    def create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if not self.allowed():
            return self.refuse(401, "")
        url = {"url": f"{self.server.url}/{name}"}
        if name in self.server.repositories:
            return self.answer(url, 409)
        private = asked.get("private") or asked.get("visibility") == "private"
        self.server.repositories[name] = Repository(bool(private))
        return self.answer(url)

    def batch(self, repository: str, asked: dict[str, Any]) -> None:
        here = f"{self.server.url}/large"
        put = [{**one, "actions": {"upload": {"href": f"{here}/{one['oid']}"}}} for one in asked["objects"]]
        if self.readable(repository) is not None:
            self.answer({"transfer": "basic", "objects": put})

    def file(self, content: bool) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        repository, _, rest = self.path.strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        found = self.readable(repository)
        if found is None:
            return None
        commit = found.at(revision)
        if commit is None:
            return self.refuse(404, "RevisionNotFound")
        data = found.commits[commit].get(name)
        if data is None:
            return self.refuse(404, "EntryNotFound", commit)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        return self.answer(data if content else b"", headers=headers, length=len(data))

    def readable(self, name: str) -> Repository | None:
        found = self.server.repositories.get(name)
        if found is None or (found.private and not self.allowed()):
            self.refuse(404 if self.allowed() else 401, "RepoNotFound")
            return None
        return found

    def allowed(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(
        self, content: Any, status: int = 200, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {"Content-Type": "application/json"}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status: int, why: str, commit: str = "") -> None:
        self.answer(b"", status, {"X-Error-Code": why, **({"X-Repo-Commit": commit} if commit else {})})

    def log_message(self, *_: Any) -> None:
        pass


def entry(name: str, data: bytes) -> dict[str, Any]:
    """A file as listings have it."""
    large = {"lfs": {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}}
    return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()} | (
        large if name.endswith(LARGE) else {}
    )


@contextmanager
def hub_server() -> Iterator[HubServer]:
    with HubServer() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
