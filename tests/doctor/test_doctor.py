from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from samples import random_store

from huse.cli import main
from huse.doctor.artefact import examine
from huse.doctor.environment import WEIGHTS, examine_environment, installed_extras
from huse.features.companions import write_encoder_state
from huse.features.errors import StoreError
from huse.features.exchange.interchange import import_store
from huse.features.files.atomic import temporary_beside
from huse.features.files.lock import locked
from huse.features.store import Store

MODEL = Path(__file__).parents[1] / "train" / "artifact" / "version_1"


def doctor(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, arguments)])


def test_a_whole_store_is_told_with_exit_0(small_store: Store) -> None:
    result = doctor(small_store.path)
    assert result.exit_code == 0, result.output
    assert "60 rows in 3 shards, image-test" in result.output
    assert "nothing is wrong" in result.output


def test_the_environment_tells_what_a_run_would_use(tmp_path: Path) -> None:
    values = json.loads(doctor("--json").stdout)["environment"]
    assert values["precision_auto"] in ("float32", "bfloat16")
    assert values["convolution"] in ("winograd", "direct", "the GPU library's own")
    assert values["memory_gib"] > 0
    assert values["packages"]["tensorflow"]
    assert set(values["weights"]) == {"vgg16", "use"}
    assert {"app", "search", "parquet"} <= set(installed_extras())


def test_other_weights_than_huse_was_made_with_are_told(tmp_path: Path) -> None:
    assert examine_environment(tmp_path).findings == []
    (finding,) = examine_environment(tmp_path, {**WEIGHTS, "vgg16": "0000"}).findings
    assert finding.where == "weights of vgg16"
    assert finding.command.startswith("pip install")


@pytest.mark.parametrize("name", ["store.json", "plan.json", "shard-00001.h5", "classes.h5", "text_encoder.json"])
def test_every_damaged_file_of_a_store_is_named_with_a_command(small_store: Store, name: str) -> None:
    write_encoder_state(small_store.path, {"words": ["a"]})
    file = small_store.path / name
    file.write_bytes(file.read_bytes()[:-9])
    findings = examine(small_store.path).findings
    assert name in {finding.where for finding in findings}
    assert all(f"huse extract MANIFEST {small_store.path}" in finding.command for finding in findings)
    result = doctor(small_store.path, "--json")
    assert result.exit_code == 1
    assert name in {finding["where"] for finding in json.loads(result.stdout)["findings"]}


def test_an_interrupted_run_is_told_with_what_goes_on(small_store: Store) -> None:
    small_store.shard_path(2).unlink()
    temporary_beside(small_store.shard_path(2)).write_bytes(b"half")
    with locked(small_store.path):
        told = {finding.where: finding.what for finding in examine(small_store.path).findings}
    assert "missing" in told.pop("shard-00002.h5")
    assert any("writes here" in what for what in told.values())
    assert any("was killed" in what for name, what in told.items() if name.endswith(".tmp"))


def test_an_imported_store_is_made_again_by_import(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((4, 3), np.float32))
    import_store(tmp_path / "s", image=str(tmp_path / "x.npy"))
    assert examine(tmp_path / "s").findings == []
    (tmp_path / "s" / "shard-00000.h5").unlink()
    (finding,) = examine(tmp_path / "s").findings
    assert finding.command == f"huse store import {tmp_path / 's'}"


def test_a_model_is_checked_file_by_file_without_tensorflow(tmp_path: Path) -> None:
    shutil.copytree(MODEL, tmp_path / "m")
    assert examine(tmp_path / "m").findings == []
    (tmp_path / "m.checkpoint.npz").write_bytes(b"")
    (tmp_path / "m" / "semantic_graph.npy").write_bytes(b"nothing")
    where = {finding.where: finding.command for finding in examine(tmp_path / "m").findings}
    assert set(where) == {"classes.json", "m.checkpoint.npz"}
    assert where["m.checkpoint.npz"].endswith("--resume")
    code = f"from pathlib import Path; from huse.doctor.artefact import examine; examine(Path({str(MODEL)!r}))"
    check = "import sys; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"{code}; {check}"], check=True)


def test_what_is_neither_is_told_with_what_lies_in_it(small_store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="of its folders these are: store"):
        examine(tmp_path)
    with pytest.raises(StoreError, match="is not there"):
        examine(tmp_path / "absent")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="is a file"):
        examine(tmp_path / "notes.txt")
    result = doctor(tmp_path / "absent")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1


def test_stores_of_version_1_are_told_to_be_so() -> None:
    assert "format version 1" in examine(Path(__file__).parents[1] / "features" / "shards" / "version_1").contents


def test_the_features_within_embeddings_are_checked_too(tmp_path: Path) -> None:
    outer = random_store(tmp_path / "out", kind="embeddings")
    inner = random_store(tmp_path / "out" / "features", seed=3)
    assert examine(outer.path).findings == []
    inner.shard_path(1).write_bytes(b"")
    (finding,) = examine(outer.path).findings
    assert finding.where == "features/shard-00001.h5"
    assert finding.command == f"huse embed MODEL SOURCE {outer.path}"


@pytest.mark.parametrize("fault", ["flipped", "of other rows", "no JSON"])
def test_indexes_are_checked_against_rows_and_digest(tmp_path: Path, fault: str) -> None:
    store = random_store(tmp_path / "out", kind="embeddings")
    folder = store.path / "index"
    folder.mkdir()
    (folder / "image-hnsw.faiss").write_bytes(b"an index")
    digest = "57bbd8a9a2b7d43c7f5ecf1f7e05e5d1f1a0b5b6a1ac0bd8a5a9d8ed8f5e5b0c" if fault == "flipped" else None
    values = {"digest": store.content_digest(), "recall": 1.0, **({"file": digest} if digest else {})}
    if fault == "of other rows":
        values["digest"] = "0"
    (folder / "image-hnsw.json").write_text("{" if fault == "no JSON" else json.dumps(values))
    (finding,) = examine(store.path).findings
    assert finding.where.startswith("index/image-hnsw")
    assert "huse search MODEL" in finding.command
    assert "--index hnsw" in finding.command


UNREADABLE = Path("/proc/self/mem")
"""Can be opened, and fails to be read as a file on a failing disk does, whoever reads it."""


@pytest.mark.skipif(not UNREADABLE.exists(), reason="a file of Linux that cannot be read")
@pytest.mark.parametrize("name", ["store.json", "plan.json", "shard-00001.h5"])
def test_of_a_file_that_cannot_be_read_no_command_makes_the_store_anew(small_store: Store, name: str) -> None:
    (small_store.path / name).unlink()
    (small_store.path / name).symlink_to(UNREADABLE)
    told = {finding.where: finding for finding in examine(small_store.path).findings}[name]
    assert (told.command, told.what.partition(";")[0]) == (
        "",
        f"{small_store.path / name}: cannot be read (Input/output error)",
    )


@pytest.mark.skipif(not UNREADABLE.exists(), reason="a file of Linux that cannot be read")
@pytest.mark.parametrize("name", ["config.json", "model.keras"])
def test_of_a_file_that_cannot_be_read_no_command_makes_the_model_anew(tmp_path: Path, name: str) -> None:
    shutil.copytree(MODEL, tmp_path / "model", ignore=shutil.ignore_patterns(name))
    (tmp_path / "model" / name).symlink_to(UNREADABLE)
    (finding,) = examine(tmp_path / "model").findings
    assert (finding.where, finding.command) == (name, "")
