"""Indexes that are damaged, outdated, killed while they were made, or made twice at once."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from samples import EMBEDDING_DIMENSION as DIMENSION
from samples import random_embeddings as embeddings

from huse.embed.search.engine import Engine
from huse.embed.search.index import open_index
from huse.features.errors import QueryError
from huse.features.store import Store


def found(store: Store, gallery: str = "text") -> list[str]:
    """What an index finds for the first row's own text, and then the nearest others."""
    rows = store.read(0)
    return [hit.key for hit in open_index(store, gallery, "hnsw", lambda _: None).nearest(rows.text.vectors[:1], 5)[0]]


def damage_faiss(data: bytes, where: float) -> bytes:
    at = int(where * (len(data) - 1))
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def changed(name: str, value: object) -> bytes:
    described = {"digest": "", "recall": 1.0, "vectors": 60, "file": "", name: value}
    return json.dumps(described).encode()


@pytest.mark.parametrize("where", [0, 0.01, 0.3, 0.7, 1])
def test_a_flipped_bit_is_noticed_and_the_index_made_anew(where: float, tmp_path: Path) -> None:
    store, said = embeddings(tmp_path / "e"), []
    expected = found(store)
    file = tmp_path / "e" / "index" / "text-hnsw.faiss"
    file.write_bytes(damage_faiss(file.read_bytes(), where))
    healed = open_index(store, "text", "hnsw", said.append)
    assert [hit.key for hit in healed.nearest(store.read(0).text.vectors[:1], 5)[0]] == expected
    assert len(said) == 2
    assert said[0] == f"{file}: differs from what was written; making it anew"
    assert open_index(store, "text", "hnsw", said.append).recall == 1
    assert len(said) == 2, "the healed index is taken"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text-hnsw.faiss", b""),
        ("text-hnsw.faiss", b"IxHN"),
        ("text-hnsw.json", b""),
        ("text-hnsw.json", b"{"),
        ("text-hnsw.json", b"[1, 2]"),
        ("text-hnsw.json", b"\xff\xfe"),
        ("text-hnsw.json", b'{"digest": 1}'),
        ("text-hnsw.json", changed("file", None)),
        ("text-hnsw.json", changed("recall", "high")),
        ("text-hnsw.json", None),
        ("text-hnsw.faiss", None),
    ],
)
def test_whatever_is_there_the_index_is_right(name: str, content: bytes | None, tmp_path: Path) -> None:
    store = embeddings(tmp_path / "e")
    expected = found(store)
    file = tmp_path / "e" / "index" / name
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert found(store) == expected
    said: list[str] = []
    open_index(store, "text", "hnsw", said.append)
    assert said == [], "healed"


@pytest.mark.parametrize("recall", ["high", None, 7, float("nan"), True])
def test_a_recall_that_is_none_is_not_told(recall: object, tmp_path: Path) -> None:
    store = embeddings(tmp_path / "e")
    found(store)
    file = tmp_path / "e" / "index" / "text-hnsw.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "recall": recall}))
    assert open_index(store, "text", "hnsw", lambda _: None).recall == 1


def test_the_index_of_another_store_or_gallery_is_not_taken(tmp_path: Path) -> None:
    one, other = embeddings(tmp_path / "one"), embeddings(tmp_path / "other", seed=1)
    expected = found(other)
    found(one)
    shutil.copytree(tmp_path / "one" / "index", tmp_path / "other" / "index", dirs_exist_ok=True)
    assert found(other) == expected
    expected = found(one)
    found(one, "image")
    folder = tmp_path / "one" / "index"
    shutil.copy(folder / "image-hnsw.faiss", folder / "text-hnsw.faiss")
    assert found(one) == expected


KILLED = """
import os, signal, sys
import faiss
from huse.embed.search.index import open_index
from huse.features.store import Store

write = faiss.write_index
def cut(index, path):
    write(index, path)
    with open(path, "r+b") as file:
        file.truncate(100)
    os.kill(os.getpid(), signal.SIGKILL)
faiss.write_index = cut
open_index(Store.open(sys.argv[1]), "text", "hnsw")
"""


def test_a_killed_build_leaves_nothing_that_counts(tmp_path: Path) -> None:
    store = embeddings(tmp_path / "e")
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.path)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = store.path / "index"
    assert [path.suffix for path in folder.iterdir() if path.suffix != ".lock"] == [".tmp"]
    keys = found(store)
    assert keys[0] == "row 0"
    assert {path.name for path in folder.iterdir() if path.suffix != ".lock"} == {"text-hnsw.faiss", "text-hnsw.json"}


BUILD = """
import sys, time
from huse.embed.search import index
from huse.features.store import Store

build = index.build_index
def slow(*arguments):
    time.sleep(1)
    return build(*arguments)
index.build_index = slow
index.open_index(Store.open(sys.argv[1]), "text", "hnsw", print)
"""


def test_two_builders_make_one_index(tmp_path: Path) -> None:
    store = embeddings(tmp_path / "e")
    command = [sys.executable, "-c", BUILD, str(store.path)]
    builders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [builder.communicate(timeout=60)[0] for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0]
    assert sum("made an index" in line for line in said) == 1
    assert found(store)[0] == "row 0"


@pytest.mark.parametrize("kind", ["hnsw", "ivfpq"])
@pytest.mark.parametrize("n", [1, 2, 3, 11])
def test_indexes_of_few_rows(kind: str, n: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = embeddings(tmp_path / "e", n)
    for k in (1, n, 10**9):
        (hits,) = open_index(store, "fused", kind, lambda _: None).nearest(store.read(0).text.vectors[:1], k)
        assert len(hits) == min(k, n)
    assert "WARNING" not in capfd.readouterr().err


@pytest.mark.parametrize("index", ["exact", "hnsw"])
@pytest.mark.parametrize("in_memory", [True, False])
def test_the_engine_at_its_edges(index: str, in_memory: bool, tmp_path: Path) -> None:
    store = embeddings(tmp_path / "e", has_image=False)
    engine = Engine(store, index, list(store) if in_memory else None)
    engine.prepare()
    query = store.read(0).text.vectors[:2]
    assert [next(hit.key for hit in hits) for hits in engine.nearest(query, "fused", 3)] == ["row 0", "row 1"]
    assert engine.nearest(query, "image", 3) == [[], []]
    assert engine.nearest(query, "text", 3, ["no such class"]) == [[], []]
    assert [len(hits) for hits in engine.nearest(query, "text", 10**12)] == [60, 60]
    for arguments, message in (
        ((query, "text", 0), "k is 0"),
        ((query, "text", -3), "k is -3"),
        ((query, "sound", 3), "no gallery 'sound'"),
        ((query * np.nan, "text", 3), "not finite"),
    ):
        with pytest.raises(QueryError, match=message):
            engine.nearest(*arguments)
    empty = Engine(embeddings(tmp_path / "none", 0), index)
    empty.prepare()
    assert empty.nearest(query, "text", 3) == [[], []]


def test_the_engine_in_memory_finds_what_it_finds_on_disk(tmp_path: Path) -> None:
    store = embeddings(tmp_path / "e")
    query = np.random.default_rng(5).normal(size=(3, DIMENSION)).astype(np.float32)
    for gallery in ("image", "text", "fused"):
        exact = Engine(store, "exact").nearest(query, gallery, 7)
        for engine in (Engine(store, "exact", list(store)), Engine(store, "hnsw"), Engine(store, "hnsw", list(store))):
            assert [[hit.key for hit in hits] for hits in engine.nearest(query, gallery, 7)] == [
                [hit.key for hit in hits] for hits in exact
            ]


def test_an_index_of_rows_in_memory_is_not_taken_for_one_of_what_is_on_disk_since(tmp_path: Path) -> None:
    store = embeddings(tmp_path / "e")
    digest, shards = store.content_digest(), list(store)
    rows = store.load()
    for number, start in enumerate((0, 25, 50)):
        store.write(number, rows.take(np.arange(60)[::-1][start : start + 25]))
    engine = Engine(store, "hnsw", shards, digest=digest)
    query = rows.text.vectors[:1]
    for asked in (engine, Engine(store, "hnsw")):
        assert asked.nearest(query, "text", 1)[0][0].key == "row 0"


def test_a_full_disk_is_one_line_and_leaves_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import faiss

    def full(_: object, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise RuntimeError("Error in write_HNSW: write error in x.tmp: 9 != 30 (No space left on device)")

    monkeypatch.setattr(faiss, "write_index", full)
    store = embeddings(tmp_path / "s")
    with pytest.raises(QueryError, match=r"cannot be written \(No space left on device\); make room") as error:
        open_index(store, "image", "hnsw")
    assert "\n" not in str(error.value)
    assert not list((store.path / "index").iterdir())


def test_where_no_index_can_be_written_there_is_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = embeddings(tmp_path / "e")

    def refuse(dir: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(QueryError, match=r"text-hnsw\.faiss: .* .*, or use index='exact' \(--index\)$"):
        open_index(store, "text", "hnsw", lambda _: None)
    with pytest.raises(QueryError, match=r"or use index='exact' \(--index\)$"):
        Engine(store, "hnsw").prepare()
