from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from samples import random_store

from huse.features.errors import PlaceError, ShardError, UnreadableError
from huse.features.files.cache import healed, local_copy, most_bytes
from huse.features.files.place import place
from huse.features.files.put import put_bytes
from huse.features.files.remote import SEEN, look_again
from huse.features.inspection import verify_store

URL = "memory://cache/a.bin"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HUSE_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    look_again(place("memory://cache"))


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was fetched since."""
    names: list[str] = []
    get_file = MemoryFileSystem.get_file

    def counted(system: MemoryFileSystem, path: str, *rest: object) -> None:
        names.append(path.rpartition("/")[2])
        get_file(system, path, *rest)

    monkeypatch.setattr(MemoryFileSystem, "get_file", counted)
    return names


def written(content: bytes, name: str = "a.bin") -> Path:
    path = place(f"memory://cache/{name}")
    put_bytes({path: content})
    return path


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def test_a_path_of_this_machine_is_its_own_copy(tmp_path: Path, folder: Path) -> None:
    assert local_copy(tmp_path / "a") == tmp_path / "a"
    assert not folder.exists()


def test_an_object_is_fetched_once_and_again_when_it_was_replaced(folder: Path, fetched: list[str]) -> None:
    path = written(b"one")
    assert local_copy(path).read_bytes() == local_copy(place(URL)).read_bytes() == b"one"
    look_again(path)  # as another process would
    assert local_copy(path).suffix == ".bin"
    assert fetched == ["a.bin"]
    written(b"two")
    assert local_copy(path).read_bytes() == b"two"
    assert len(fetched) == 2
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_others_put_is_seen_when_a_place_is_opened_again() -> None:
    path = written(b"one")
    assert local_copy(path).read_bytes() == b"one"
    path.fs.pipe_file("/cache/a.bin", b"two")  # not by this process
    assert local_copy(path).read_bytes() == b"one"
    look_again(path.parent)
    assert local_copy(path).read_bytes() == b"two"


@pytest.mark.parametrize("tells", [None, "Digest", "Last-Modified"])
def test_what_a_web_server_says_tells_copies_apart(
    tells: str | None, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told = written(b"one"), {"type": "file", "size": 3, "name": "/cache/a.bin"}
    monkeypatch.setattr(type(path.fs), "info", lambda *_, **__: told | ({tells: "1"} if tells else {}))
    for _ in range(2):
        assert local_copy(path).read_bytes() == b"one"
    path.fs.pipe_file("/cache/a.bin", b"two")
    look_again(path)
    assert local_copy(path).read_bytes() == (b"one" if tells else b"two")
    assert len(fetched) == (1 if tells else 2)


def test_a_whole_bucket_is_opened_again(tmp_path: Path) -> None:
    SEEN["s3://bucket/a/b.h5"] = tmp_path
    look_again(place("s3://bucket/m.csv").parent)
    assert "s3://bucket/a/b.h5" not in SEEN


def test_listings_that_a_file_system_keeps_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    path, forgotten = written(b"one"), []
    monkeypatch.setattr(type(path.fs), "invalidate_cache", lambda *_: forgotten.append(1))
    look_again(path.parent)
    assert forgotten == [1]


def test_threads_fetch_an_object_once(fetched: list[str]) -> None:
    path = written(b"one" * 100_000)
    with ThreadPoolExecutor(8) as pool:
        copies = list(pool.map(local_copy, [path] * 32))
    assert len(set(copies)) == len(fetched) == 1


def test_what_was_used_longest_ago_goes_first(
    folder: Path, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUSE_CACHE_SIZE", "2500")
    old, used = (written(bytes(1000), name) for name in ("old", "used"))
    for path, age in ((old, 200), (used, 300)):
        copy = local_copy(path)
        os.utime(copy, (copy.stat().st_mtime - age,) * 2)
    local_copy(used)
    local_copy(written(bytes(1000), "new"))
    assert sum(file.stat().st_size for file in files(folder)) == 2000
    assert local_copy(used).exists()
    assert fetched == ["old", "used", "new"]
    assert local_copy(old).read_bytes() == bytes(1000)
    assert fetched[3:] == ["old"], "what another process has removed is fetched again"


def test_what_is_about_to_be_opened_stays_whatever_its_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUSE_CACHE_SIZE", "10")
    copies = [local_copy(written(bytes(100), name)) for name in "abc"]
    assert all(copy.exists() for copy in copies)


@pytest.mark.parametrize(("text", "size"), [("", 20 * 10**9), ("5", 5), ("1.5 kb", 1500), ("2TB", 2 * 10**12)])
def test_sizes(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUSE_CACHE_SIZE", text)
    assert most_bytes() == size


@pytest.mark.parametrize("text", ["much", "-1", "5 XB", "GB"])
def test_what_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUSE_CACHE_SIZE", text)
    with pytest.raises(PlaceError, match=r"HUSE_CACHE_SIZE is .*; name a size such as 20GB"):
        local_copy(written(b"x"))


def test_an_object_that_comes_short_is_no_copy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(b"whole")
    monkeypatch.setattr(type(path.fs), "get_file", lambda self, remote, here, **_: Path(here).write_bytes(b"wh"))
    with pytest.raises(OSError, match=f"came as 2 bytes of 5; run it again: '{URL}'"):
        local_copy(path)
    assert not files(folder)


def test_a_folder_and_nothing_are_no_copies() -> None:
    path = written(b"x")
    with pytest.raises(IsADirectoryError, match="memory://cache'"):
        local_copy(path.parent)
    with pytest.raises(FileNotFoundError, match=r"no such object: 'memory://cache/absent'"):
        local_copy(place("memory://cache/absent"))


def test_a_damaged_copy_is_fetched_again_once(fetched: list[str]) -> None:
    path = written(b"right")
    local_copy(path).write_bytes(b"wrong")

    def read() -> bytes:
        content = local_copy(path).read_bytes()
        if content != b"right":
            raise ShardError("damaged")
        return content

    assert healed(path, read) == b"right"
    assert len(fetched) == 2
    local_copy(path).write_bytes(b"wrong")
    with pytest.raises(ShardError):
        healed(path, read)
    assert len(fetched) == 2


def test_a_cache_that_cannot_be_written_is_told_and_damages_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = random_store("memory://cache/store")
    (tmp_path / "file").touch()
    monkeypatch.setenv("HUSE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(PlaceError, match=r"file/cache: no copies of objects can be kept there .*by HUSE_CACHE"):
        store.read_or_none(0)
    with pytest.raises(PlaceError, match="no copies of objects can be kept there"):
        verify_store(store)
    monkeypatch.setenv("HUSE_CACHE", str(tmp_path / "full"))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(store.path.fs), "get_file", full)
    with pytest.raises(PlaceError, match=r"no copies of objects can be kept there \(No space left on device\)"):
        store.read_or_none(0)


def test_a_store_that_gives_no_answer_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    store = random_store("memory://cache/silent")

    def silent(*_: object, **__: object) -> None:
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(type(store.path.fs), "get_file", silent)
    with pytest.raises(
        UnreadableError, match=r"shard-00000\.h5: cannot be read \(cannot be reached \(ConnectionError: reset"
    ):
        store.read_or_none(0)
