from __future__ import annotations

import threading

import pytest
from samples import random_rows

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


def test_the_caller_goes_on_while_one_shard_is_written(small_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    may_write, at_work = threading.Event(), []

    def write(index: int, rows: Rows) -> None:
        assert may_write.wait(10)
        at_work.append(index)

    monkeypatch.setattr(small_store, "write", write)
    with WriteBehind(small_store) as behind:
        behind.write(0, random_rows(1))
        assert at_work == []
        may_write.set()
        behind.write(1, random_rows(1))
        assert at_work[0] == 0
    assert at_work == [0, 1]


@pytest.mark.parametrize("shards", [1, 2])
def test_an_error_of_the_disk_reaches_the_caller(
    small_store: Store, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    def write(index: int, rows: Rows) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(small_store, "write", write)
    with pytest.raises(OSError, match="no space left"):
        write_shards(small_store, shards)


def test_what_is_in_flight_is_finished_when_the_run_is_interrupted(small_store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_shards(small_store, 1, KeyboardInterrupt())
    assert len(small_store.read(0)) == 9
    assert not list(small_store.path.glob(".*"))
