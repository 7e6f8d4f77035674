from __future__ import annotations

import threading
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from huse.features.files.ahead import AHEAD, fetched_ahead
from huse.features.files.cache import local_copy
from huse.features.files.place import place
from huse.features.files.put import put_bytes

ALMOST = AHEAD - 2
"""Of the objects that are fetched at once; now and then two share a lock."""


def test_paths_of_this_machine_start_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    assert list(fetched_ahead([3, 1, 2], lambda n: [tmp_path / str(n)])) == [3, 1, 2]
    assert list(fetched_ahead([], lambda n: [])) == []
    assert threading.active_count() == before


def test_what_comes_next_is_fetched_while_one_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, names, get_file = place("memory://ahead"), [f"{i:02d}" for i in range(30)], MemoryFileSystem.get_file
    put_bytes({folder / name: name.encode() for name in names})
    inside, together = [], threading.Event()

    def counted(system: MemoryFileSystem, path: str, *rest: object) -> None:
        inside.append(path)
        if len(inside) == ALMOST:
            together.set()
        assert together.wait(60), "each waits for the others, which never come if they are fetched one by one"
        get_file(system, path, *rest)

    monkeypatch.setattr(MemoryFileSystem, "get_file", counted)
    read = [local_copy(folder / name).read_bytes() for name in fetched_ahead(names, lambda n: [folder / n])]
    assert read == [name.encode() for name in names]


def test_what_cannot_be_fetched_is_told_by_whoever_reads_it() -> None:
    folder = place("memory://ahead/absent")
    assert list(fetched_ahead(["a"], lambda n: [folder / n])) == ["a"]
    with pytest.raises(FileNotFoundError):
        local_copy(folder / "a")


def test_whoever_stops_reading_stops_the_fetching() -> None:
    folder, names = place("memory://ahead/stopped"), [str(i) for i in range(100)]
    put_bytes({folder / name: b"x" for name in names})
    coming = fetched_ahead(names, lambda n: [folder / n])
    next(coming)
    coming.close()
    for thread in threading.enumerate():
        if thread.name.startswith("huse-fetch"):
            thread.join(60)
    assert sum(str(folder / name) in remote_seen() for name in names) <= 2 * AHEAD


def remote_seen() -> dict[str, Path]:
    from huse.features.files.remote import SEEN

    return SEEN
