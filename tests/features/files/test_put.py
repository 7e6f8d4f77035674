from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from huse.features.errors import HuseError
from huse.features.files.atomic import replacing, replacing_files, replacing_folder, sweep, write_files
from huse.features.files.folders import require_empty, require_new, require_place
from huse.features.files.lock import lock_path, locked
from huse.features.files.place import as_remote, place
from huse.features.files.put import HALF, objects_below, try_to_put


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    """An empty folder of objects of its own."""
    return place(f"memory://put/{request.node.name}")


@pytest.fixture
def steps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is put and removed, in order."""
    fs, names = as_remote(folder).fs, []

    def noted(name: str, mark: str) -> None:
        real = getattr(type(fs), name)

        def call(self: Any, path: str, *rest: Any, **settings: Any) -> Any:
            names.append(mark + str(rest[0] if name == "put_file" else path).rpartition("/")[2])
            return real(self, path, *rest, **settings)

        monkeypatch.setattr(type(fs), name, call)

    noted("put_file", "+")
    noted("pipe_file", "+")
    noted("_rm", "-")
    return names


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in sorted(objects_below(folder))}


def test_files_are_put_when_they_are_whole(folder: Path) -> None:
    with replacing(folder / "a.txt") as temporary:
        assert temporary.name == "a.txt"
        temporary.write_text("one")
        assert not (folder / "a.txt").exists()
    assert content(folder) == {"a.txt": b"one"}
    with suppress(KeyError), replacing(folder / "a.txt") as temporary:
        temporary.write_text("half")
        raise KeyError
    assert content(folder) == {"a.txt": b"one"}


def test_files_that_belong_together_are_put_in_their_order(folder: Path, steps: list[str]) -> None:
    with replacing_files(folder / "z", folder / "a") as files:
        for file in files:
            file.write_bytes(b"x")
    assert steps == ["+z", "+a"]
    write_files({folder / "b": b"1", folder / "c": b""})
    assert content(folder) == {"a": b"x", "b": b"1", "c": b"", "z": b"x"}


def test_a_folder_is_put_first_things_first_and_old_ones_are_removed_last(folder: Path, steps: list[str]) -> None:
    write_files({folder / "old": b"1", folder / "model.keras": b"1", folder / "config.json": b"1"})
    write_files({folder / "features" / "stays": b"1"})
    write_files({place(f"{folder}-beside") / "x": b"1"})
    steps.clear()
    with replacing_folder(folder, overwrite=True, keep=("features",)) as new:
        for name in ("config.json", "shard", "store.json", "plan.json", "model.keras"):
            (new / name).write_bytes(b"2")
        (new / "part").mkdir()
        (new / "part" / "store.json").write_bytes(b"3")
        (new / "part" / "shard").write_bytes(b"3")
        assert steps == []
    assert steps[-3:] == ["+config.json", "-old", f"-{HALF}"]
    assert steps[0] == f"+{HALF}"
    assert set(steps[1:4]) == {"+store.json", "+plan.json"}
    assert set(content(folder)) == {
        *("config.json", "features/stays", "model.keras", "part/shard", "part/store.json"),
        *("plan.json", "shard", "store.json"),
    }
    assert content(place(f"{folder}-beside")) == {"x": b"1"}


def test_a_folder_that_is_not_filled_to_the_end_is_as_it_was(folder: Path, steps: list[str]) -> None:
    write_files({folder / "a": b"1"})
    with pytest.raises(FileExistsError, match="is there already"), replacing_folder(folder):
        pass
    with suppress(KeyError), replacing_folder(folder, overwrite=True) as new:
        (new / "a").write_bytes(b"2")
        raise KeyError
    assert steps == ["+a"]
    assert content(folder) == {"a": b"1"}


def test_a_place_is_tried_and_nothing_is_left(folder: Path, steps: list[str]) -> None:
    require_place(folder, HuseError)
    require_new(folder, HuseError)
    assert len(steps) == 2, "once a process"
    assert objects_below(folder) == []
    write_files({folder / "a": b"1"})
    with pytest.raises(HuseError, match="is there already"):
        require_empty(folder, HuseError)


def test_a_place_that_takes_nothing_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Access Denied.")

    monkeypatch.setattr(type(as_remote(folder).fs), "pipe_file", denied)
    with pytest.raises(PermissionError, match=r"Access Denied; check the credentials .*memory://put/"):
        try_to_put(folder)


def test_a_bucket_that_is_not_there_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object, **__: object) -> None:
        raise FileNotFoundError("b/put")  # as gcsfs says it

    monkeypatch.setattr(type(as_remote(folder).fs), "pipe_file", lost)
    with pytest.raises(OSError, match=r"no such bucket; make it, or name another.*memory://put/"):
        try_to_put(folder)


def test_there_are_no_locks(folder: Path) -> None:
    assert lock_path(folder) is None
    with locked(folder), locked(folder):
        assert objects_below(folder) == []


def test_uploads_in_parts_of_dead_processes_are_aborted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fs, aborted = as_remote(folder).fs, []
    begun = {"long ago": timedelta(days=2), "now": timedelta(0)}
    inside = as_remote(folder).path.removeprefix("/").partition("/")[2]
    uploads = [
        {"Key": f"{start}/shard-00000.h5", "UploadId": f"{start} {name}", "Initiated": datetime.now(UTC) - age}
        for name, age in begun.items()
        for start in (inside, f"{inside}-beside")
    ]
    monkeypatch.setattr(type(fs), "list_multipart_uploads", lambda _, bucket: uploads, raising=False)
    monkeypatch.setattr(type(fs), "call_s3", lambda _, name, **which: aborted.append((name, which)), raising=False)
    monkeypatch.setattr(type(as_remote(folder)), "path", property(lambda self: f"put/{inside}"))
    sweep(folder)
    which = {"Bucket": "put", "Key": f"{inside}/shard-00000.h5", "UploadId": f"{inside} long ago"}
    assert aborted == [("abort_multipart_upload", which)]
