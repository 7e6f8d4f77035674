"""`huse store`."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import invoke, ok_json
from samples import random_store

from huse.features import companions
from huse.features.store import Store


def test_verify_ends_with_1_on_damage(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s")
    store.shard_path(1).write_bytes(b"")
    result = invoke("store", "verify", store.path, "--json")
    assert result.exit_code == 1
    assert list(json.loads(result.output)["problems"]) == ["shard-00001.h5"]
    store.shard_path(0).unlink()
    result = invoke("store", "verify", store.path)
    assert result.exit_code == 1
    assert "1 of 3 shards is whole" in result.output


def test_verify_names_the_parts_to_run_again(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s")
    assert ok_json("store", "verify", store.path, "--parts", 2)["parts"] == []
    store.shard_path(1).unlink()
    result = invoke("store", "verify", store.path, "--parts", 2, "--json")
    assert (result.exit_code, json.loads(result.output)["parts"]) == (1, [2])
    assert invoke("store", "verify", store.path, "--parts", 2).output.endswith("\nrun again: --part 2/2\n")
    assert "parts" not in json.loads(invoke("store", "verify", store.path, "--json").output)


def test_what_could_not_be_read_this_time_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, opened = random_store(tmp_path / "s"), h5py.h5f.open
    store.shard_path(2).unlink()

    def refuse(name: bytes, *rest: object) -> object:
        if name.endswith((b"shard-00001.h5", b"classes.h5")):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(name, *rest)

    monkeypatch.setattr(h5py.h5f, "open", refuse)
    result = invoke("store", "verify", store.path, "--parts", 3)
    assert result.exit_code == 1
    assert f"could not be read this time: {store.shard_path(1)}: cannot be read (Permission denied)" in result.stdout
    assert result.stdout.splitlines()[-2:] == ["1 of 3 shards is whole", "run again: --part 3/3"]
    found = json.loads(invoke("store", "verify", store.path, "--parts", 3, "--json").stdout)
    assert (list(found["problems"]), sorted(found["unread"])) == (["shard-00002.h5"], ["classes.h5", "shard-00001.h5"])
    assert (found["shards"], found["parts"]) == (3, [3])

    plan = store.path / companions.PLAN_FILE
    plan.unlink()
    plan.mkdir()  # cannot be read either, and then nobody knows which shards are missing
    result = invoke("store", "verify", store.path, "--parts", 3, "--json")
    assert (result.exit_code, json.loads(result.stdout)["parts"]) == (1, [])


def test_an_import_counts_the_rows_that_failed(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[1, 2], [np.nan, 1]]))
    done = invoke("store", "import", tmp_path / "s", "--image", tmp_path / "x.npy")
    assert "2 rows in" in done.stdout
    assert "1 failure; huse store failures" in done.stdout


def test_stores_are_rearranged_from_the_command_line(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s")
    assert invoke("store", "split", store.path, tmp_path / "parts", "--parts", 2).exit_code == 0
    parts = [tmp_path / "parts" / f"part-{i}" for i in range(2)]
    assert invoke("store", "merge", tmp_path / "m", *parts, "--json").stdout == '{"rows": 60}\n'
    assert invoke("store", "export", tmp_path / "m", tmp_path / "out").exit_code == 0
    files = [("--image", "image.npy"), ("--text", "text.npy"), ("--labels", "label.txt"), ("--split", "split.txt")]
    options = [part for flag, name in files for part in (flag, tmp_path / "out" / name)]
    done = invoke("store", "import", tmp_path / "again", *options, "--image-encoder", "clip")
    assert done.exit_code == 0, done.stderr
    assert Store.open(tmp_path / "again").info.image.name == "clip"  # type: ignore[union-attr]
    assert "0 images and 0 texts stand in more than one split" in invoke("store", "leaks", store.path).stdout
    refused = invoke("store", "merge", tmp_path / "n", tmp_path / "again", store.path)
    assert refused.exit_code == 1
    assert "encoders differ, clip" in refused.stderr
