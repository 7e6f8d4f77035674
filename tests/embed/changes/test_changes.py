"""What changes files say: what differs by key and content from what was said before, whenever a run is killed."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from database import Database, apply, mirrored
from faults.workshop import in_child
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import embedding_spec

from huse.doctor.artefact import examine
from huse.embed.changes.changes import Changes, write_changes
from huse.features.delivered import CHANGES_FOLDER, DELIVERED_FILE, Delivered
from huse.features.errors import QueryError, ShardError, UnreadableError
from huse.features.files.place import place
from huse.features.info import EMBEDDINGS, StoreInfo
from huse.features.inspection import verification, verify_store
from huse.features.rows import Rows
from huse.features.store import Store

SHARD, D = 4, 3
INFO = StoreInfo(EMBEDDINGS, embedding_spec("image"), embedding_spec("text"), SHARD, "float16")

Catalog = dict[str, int]
"""A row's key, and what its content is made from."""


def rows_of(catalog: Catalog) -> Rows:
    """Rows of a catalog; of seeds that three or five divide, the image or the text is missing."""
    width = INFO.widths.image
    rows = Rows.empty(len(catalog), width, width)
    rows.prediction, rows.probability = rows.label.copy(), np.zeros(len(catalog), np.float32)
    for i, (key, seed) in enumerate(catalog.items()):
        rng = np.random.default_rng(seed)
        rows.key[i], rows.label[i] = key, f"c/{seed % 2}" if seed % 7 else ""
        for its, divisor in ((rows.image, 3), (rows.text, 5)):
            its.present[i] = seed % divisor != 0
            its.vectors[i] = rng.normal(size=width) * its.present[i]
        if rows.image.present[i] or rows.text.present[i]:
            rows.prediction[i], rows.probability[i] = f"c/{seed % 4}", 0.25 + seed % 3 / 4
    return rows


def brought_to(out: Path, catalog: Catalog) -> Store:
    """The embeddings of a catalog in its order, shards as `huse embed` leaves them."""
    store, rows = Store.create(out, INFO), rows_of(catalog)
    numbers = range(-(-len(catalog) // SHARD))
    for number in numbers:
        part = rows.take(np.arange(number * SHARD, min(len(rows), (number + 1) * SHARD)))
        old = store.read_or_none(number)
        if old is None or not part.holds_the_same_as(old):
            store.write(number, part)
    for number in set(store.shard_numbers()) - set(numbers):
        store.shard_path(number).unlink()
    store.write_plan(len(numbers))
    return Store.open(out)


def catalog_of(n: int, start: int = 1) -> Catalog:
    return {f"row {i}": i for i in range(start, start + n)}


@pytest.fixture
def say(tmp_path: Path) -> Callable[..., tuple[Changes, list[tuple[str, str]]]]:
    """Brings embeddings to a catalog, and a database to the embeddings, by one file a night."""
    database: Database = {}
    nights = iter(range(1000))

    def said(catalog: Catalog, model: str = "m", fuse: bool = False) -> tuple[Changes, list[tuple[str, str]]]:
        store, file = brought_to(tmp_path / "out", catalog), tmp_path / f"night {next(nights)}.parquet"
        counts = write_changes(store, file, model, fuse)
        told = apply(database, file)
        assert database == mirrored(tmp_path / "out", model, fuse)
        ops = [op for op, _ in told]
        assert (counts.upserts, counts.deletes) == (ops.count("upsert"), ops.count("delete"))
        assert len({key for _, key in told}) == len(told)
        return counts, told

    return said


def test_the_first_says_all_and_the_next_nothing(say: Any, tmp_path: Path) -> None:
    assert say(catalog_of(10))[0] == Changes(10, 0)
    assert say(catalog_of(10))[0] == Changes(0, 0)
    empty = pyarrow.parquet.read_table(tmp_path / "night 1.parquet")
    assert empty.schema.names == ["key", "op", "image", "text", "label", "prediction", "probability", "model"]
    assert empty.schema == pyarrow.parquet.read_schema(tmp_path / "night 0.parquet")
    described = json.loads(empty.schema.metadata[b"huse_changes"])
    assert described["model"] == "m"
    assert described["widths"] == {"image": 16, "text": 16}


def test_a_row_on_top_shifts_all_and_changes_one(say: Any) -> None:
    say(catalog_of(10))
    assert say({"new": 99, **catalog_of(10)})[1] == [("upsert", "new")]


def test_rows_that_change_leave_and_move_are_said_by_key(say: Any) -> None:
    say(catalog_of(12))
    reversed_ = dict(reversed(catalog_of(12).items()))
    assert say(reversed_)[0] == Changes(0, 0)
    del reversed_["row 2"], reversed_["row 9"]
    reversed_ |= {"row 5": 50, "of spaces and / ü": 51}
    said = say(reversed_)[1]
    assert sorted(said) == [
        ("delete", "row 2"),
        ("delete", "row 9"),
        ("upsert", "of spaces and / ü"),
        ("upsert", "row 5"),
    ]
    assert say({})[0] == Changes(0, 11)


def test_each_part_of_what_is_said_counts(tmp_path: Path, say: Any) -> None:
    say(catalog_of(4))
    store = Store.open(tmp_path / "out")
    database: Database = {}
    write_changes(store, tmp_path / "x.parquet", "m", False)

    def change(what: Callable[[Rows], None]) -> int:
        rows = store.read(0)
        what(rows)
        store.write(0, rows)
        (tmp_path / "x.parquet").unlink()
        counts = write_changes(Store.open(store.path), tmp_path / "x.parquet", "m", False)
        apply(database, tmp_path / "x.parquet")
        return counts.upserts

    def put(column: str, value: Any) -> Callable[[Rows], None]:
        return lambda rows: rows.columns()[column].__setitem__(1, value)

    assert change(put("image", np.float16(0.5))) == 1
    assert change(put("text", np.float16(0.5))) == 1
    assert change(put("label", "other/label")) == 1
    assert change(put("prediction", "c/9")) == 1
    assert change(put("probability", 0.125)) == 1
    assert change(put("has_image", False)) == 1
    assert change(put("caption", "is not said")) == 0
    assert change(put("uri", "is not said")) == 0


def test_another_model_or_other_columns_say_all_again_and_what_is_gone(say: Any) -> None:
    say(catalog_of(9))
    assert say(catalog_of(8), model="retrained")[0] == Changes(8, 1)
    assert say(catalog_of(8), model="retrained", fuse=True)[0] == Changes(8, 0)
    assert say(catalog_of(8), model="retrained", fuse=True)[0] == Changes(0, 0)


def test_what_a_row_lacks_is_null_and_nothing_is_nan(tmp_path: Path) -> None:
    catalog = {"both": 1, "text": 3, "image": 5, "none": 15}
    store = brought_to(tmp_path / "out", catalog)
    rows = store.read(0)
    assert rows.probability is not None
    rows.probability[3] = np.nan
    store.write(0, rows)
    for fuse in (False, True):
        write_changes(store, tmp_path / f"{fuse}.parquet", "m", fuse)
    table = pyarrow.parquet.read_table(tmp_path / "False.parquet")
    assert table["image"].is_valid().to_pylist() == [True, False, True, False]
    assert table["text"].is_valid().to_pylist() == [True, True, False, False]
    assert table["prediction"].is_valid().to_pylist() == [True, True, True, False]
    assert table["probability"].is_valid().to_pylist() == [True, True, True, False]
    assert np.isfinite(table["probability"].drop_null().to_numpy()).all()
    assert pyarrow.parquet.read_table(tmp_path / "True.parquet")["fused"].is_valid().to_pylist() == [True] * 3 + [False]
    assert write_changes(store, tmp_path / "again.parquet", "m", True) == Changes(0, 0)


def test_shards_that_are_as_they_were_are_not_read(say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    say(catalog_of(12))
    brought_to(tmp_path / "out", {**catalog_of(12), "row 6": 60})
    read: list[int] = []
    monkeypatch.setattr(Store, "read", lambda self, number, real=Store.read: read.append(number) or real(self, number))
    assert write_changes(Store.open(tmp_path / "out"), tmp_path / "x.parquet", "m", False) == Changes(1, 0)
    assert read == [1]


def test_a_file_that_nobody_took_is_said_again(tmp_path: Path) -> None:
    store, file = brought_to(tmp_path / "out", catalog_of(10)), tmp_path / "changes.parquet"
    database: Database = {}
    write_changes(store, file, "m", False)
    apply(database, file)
    file.unlink()
    write_changes(brought_to(tmp_path / "out", {**catalog_of(9), "a": 70}), file, "m", False)  # nobody applies this
    counts = write_changes(brought_to(tmp_path / "out", catalog_of(8)), file, "m", False)
    assert counts == Changes(0, 3)  # of "a", too: it is not known whether the database has it
    apply(database, file)
    assert database == mirrored(tmp_path / "out", "m")


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("renames", range(4))
def test_a_run_that_is_killed_loses_nothing_whether_its_file_was_taken_or_not(
    renames: int, taken: bool, tmp_path: Path
) -> None:
    out, database = tmp_path / "out", Database()
    write_changes(brought_to(out, catalog_of(10)), tmp_path / "1.parquet", "m", False)
    apply(database, tmp_path / "1.parquet")
    store = brought_to(out, {**catalog_of(8), "row 3": 33, "new": 44})
    in_child(lambda: killed_after(renames, lambda: write_changes(store, tmp_path / "2.parquet", "m", False)))
    assert (tmp_path / "2.parquet").exists() == (renames >= 2)
    if taken and renames >= 2:
        apply(database, tmp_path / "2.parquet")
    store = brought_to(out, catalog_of(9))  # all goes back meanwhile, but for row 10
    name = "3.parquet" if taken else "2.parquet"  # the command of the next night, or the same one again
    write_changes(store, tmp_path / name, "m", False)
    apply(database, tmp_path / name)
    assert database == mirrored(out, "m")
    assert write_changes(store, tmp_path / "4.parquet", "m", False) == Changes(0, 0)
    assert not [entry for entry in tmp_path.rglob(".*") if entry.suffix == ".tmp"]


def killed_after(renames: int, work: Callable[[], object]) -> None:
    """Some work whose process ends when it has renamed so many files."""
    count, real = 0, Path.replace

    def replace(self: Path, target: Path) -> Path:
        nonlocal count
        if count == renames:
            os._exit(9)
        count += 1
        return real(self, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        work()
    os._exit(9)


@pytest.mark.slow
@settings(max_examples=20)
@given(
    nights=st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from([f"k{i}" for i in range(9)]), st.integers(1, 30), max_size=9),
            st.integers(0, 3),
            st.booleans(),
            st.sampled_from(["same", "other"]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_database_that_takes_all_files_is_as_the_embeddings_whatever_is_killed(
    nights: list[tuple[Catalog, int, bool, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, database = tmp_path_factory.mktemp("nights"), Database()
    for night, (catalog, renames, taken, model) in enumerate(nights):
        store, file = brought_to(folder / "out", catalog), folder / "changes.parquet"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "replace", stops_after(renames))
            with suppress(SystemExit):
                write_changes(store, file, model, night % 2 == 1)
        if taken and file.exists():
            apply(database, file)
            file.unlink()
    write_changes(store, folder / "changes.parquet", model, False)
    apply(database, folder / "changes.parquet")
    assert database == mirrored(folder / "out", model)


def stops_after(renames: int) -> Callable[[Path, Path], Path]:
    """As a process that is killed there, but for the temporary files."""
    left: Iterator[int] = iter(range(renames))
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if next(left, None) is None:
            raise SystemExit
        return real(self, target)

    return replace


def test_embeddings_and_changes_may_be_objects(tmp_path: Path) -> None:
    out, file, database = place("memory://changes/out"), place("memory://changes/of a night.parquet"), Database()
    for catalog, expected in ((catalog_of(9), (9, 0)), (catalog_of(6, start=2), (0, 3)), (catalog_of(6), (1, 3))):
        counts = write_changes(brought_to(out, catalog), file, "m", False)  # the last file was not taken
        assert (counts.upserts, counts.deletes) == expected
        taken = tmp_path / f"{expected}.parquet"
        taken.write_bytes(file.read_bytes())
        if expected != (0, 3):
            apply(database, taken)
            file.unlink()
    assert database == mirrored(str(out), "m")
    assert verify_store(Store.open(out)) == {}


def test_what_is_not_of_these_embeddings_stays(tmp_path: Path) -> None:
    mine, other = brought_to(tmp_path / "mine", catalog_of(3)), brought_to(tmp_path / "other", catalog_of(3))
    write_changes(mine, tmp_path / "mine.parquet", "m", False)
    with pytest.raises(QueryError, match="holds changes of other embeddings"):
        write_changes(other, tmp_path / "mine.parquet", "m", False)
    (tmp_path / "rubbish.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(QueryError, match="holds no changes"):
        write_changes(mine, tmp_path / "rubbish.parquet", "m", False)
    whole = (tmp_path / "mine.parquet").read_bytes()
    for position in range(4, len(whole), 41):
        (tmp_path / "mine.parquet").write_bytes(whole[:position] + bytes([whole[position] ^ 8]) + whole[position + 1 :])
        with suppress(QueryError):  # or what it says is said again
            assert write_changes(mine, tmp_path / "mine.parquet", "m", False) == Changes(3, 0)
    assert write_changes(mine, tmp_path / "last.parquet", "m", False) == Changes(0, 0)


def test_damage_to_what_was_said_is_told_wherever_it_is(tmp_path: Path) -> None:
    store = brought_to(tmp_path / "out", catalog_of(6))
    write_changes(store, tmp_path / "c.parquet", "m", False)
    state = tmp_path / "out" / CHANGES_FOLDER / DELIVERED_FILE
    whole, expected = state.read_bytes(), said_in(tmp_path / "out")
    assert verify_store(store) == {}
    told = set()
    for position in range(0, len(whole), 31):
        state.write_bytes(whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :])
        try:
            assert said_in(tmp_path / "out") == expected
        except ShardError as error:
            told.add(str(error))
    assert told
    assert all("delivered.parquet: damaged" in line and "\n" not in line for line in told)
    state.write_bytes(whole[: len(whole) // 2])
    assert list(verify_store(store)) == ["changes/delivered.parquet"]
    (finding,) = examine(store.path).findings
    assert (finding.where, finding.command) == ("changes/delivered.parquet", "")
    with pytest.raises(ShardError, match=r"put back a copy of it; or remove it and empty the database"):
        write_changes(store, tmp_path / "d.parquet", "m", False)


def test_what_could_not_be_read_this_time_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = brought_to(tmp_path / "out", catalog_of(6))
    write_changes(store, tmp_path / "c.parquet", "m", False)

    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Failed to read")

    monkeypatch.setattr(pyarrow.parquet, "ParquetFile", fails)
    with pytest.raises(UnreadableError, match=r"delivered\.parquet: cannot be read \(Input/output error\)"):
        Delivered.open(tmp_path / "out")
    found = verification(store)
    assert (found.problems, list(found.unread)) == ({}, ["changes/delivered.parquet"])


def said_in(out: Path) -> Any:
    delivered = Delivered.open(out)
    return (
        delivered.feed,
        delivered.said,
        [(g.shard, g.content, g.keys.to_pylist(), g.digests.tolist()) for g in delivered],
    )
