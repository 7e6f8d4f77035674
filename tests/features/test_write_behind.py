from __future__ import annotations

import threading

import pytest
from samples import random_rows

from huse.features.looks import Looks
from huse.features.rows import Rows
from huse.features.store import Store
from huse.features.write_behind import WriteBehind


def write_shards(store: Store, shards: int, error: BaseException | None = None) -> None:
    with WriteBehind(store) as behind:
        for index in range(shards):
            behind.write(index, random_rows(9, seed=index))
        if error is not None:
            raise error


def test_all_shards_are_there_when_the_context_is_left(small_store: Store) -> None:
    write_shards(small_store, 3)
    for index in range(3):
        assert small_store.read(index).holds_the_same_as(random_rows(9, seed=index))


def test_shards_that_come_while_the_disk_is_busy_are_written_together(
    small_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write, groups = threading.Event(), []

    def write_many(shards: dict[int, Rows], looks: dict[int, Looks]) -> None:
        assert may_write.wait(10)
        groups.append(list(shards))

    monkeypatch.setattr(small_store, "write_many", write_many)
    with WriteBehind(small_store) as behind:
        for index in range(4):
            behind.write(index, random_rows(1))
        assert groups == []
        may_write.set()
    assert groups == [[0], [1, 2, 3]]


def test_what_waits_is_bounded(small_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[list[int]] = []
    monkeypatch.setattr(small_store, "write_many", lambda shards, looks: groups.append(list(shards)))
    with WriteBehind(small_store, most_waiting=3 * random_rows(5).image.vectors.nbytes) as behind:
        for index in range(40):
            behind.write(index, random_rows(5))
    assert max(map(len, groups)) <= 3
    assert [index for group in groups for index in group] == list(range(40))


@pytest.mark.parametrize("shards", [1, 2])
def test_an_error_of_the_disk_reaches_the_caller(
    small_store: Store, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    def write_many(shards: dict[int, Rows], looks: dict[int, Looks]) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(small_store, "write_many", write_many)
    with pytest.raises(OSError, match="no space left"):
        write_shards(small_store, shards)


def test_what_is_in_flight_is_finished_when_the_run_is_interrupted(small_store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_shards(small_store, 1, KeyboardInterrupt())
    assert len(small_store.read(0)) == 9
    assert not list(small_store.path.glob(".*"))


def test_what_waits_for_the_disk_is_written_when_the_run_is_interrupted(
    small_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write, write_many = threading.Event(), small_store.write_many

    def slowly(shards: dict[int, Rows], looks: dict[int, Looks]) -> None:
        assert may_write.wait(10)
        write_many(shards, looks)

    monkeypatch.setattr(small_store, "write_many", slowly)

    def interrupted() -> None:
        with WriteBehind(small_store) as behind:
            for index in range(5):
                behind.write(index, random_rows(9, seed=index))
            may_write.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert all(small_store.read(index).holds_the_same_as(random_rows(9, seed=index)) for index in range(5))
