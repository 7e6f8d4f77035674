"""`huse embed --changes`: of real rows, over a retrained model, and what it refuses."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import invoke, ok_json
from database import Database, apply, mirrored
from samples import read_csv, write_csv

import huse
from huse.embed.changes.changes import Changes
from huse.embed.embed import embed_source
from huse.extract.config import ExtractConfig
from huse.features.errors import QueryError
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model


def test_nights_of_a_catalog_reach_a_database(few_emoji: Path, few_model: Path, tmp_path: Path) -> None:
    rows = [
        {"key": f"a key, of {row['key']}", "text": row["text"], "label": row["label"]} for row in read_csv(few_emoji)
    ]
    out, manifest, database = tmp_path / "out of mine", tmp_path / "m.csv", Database()
    fingerprint = huse.load(few_model).trained.fingerprint
    gone = [row for row in rows if row != rows[3]]
    changed = [{**row, "text": "a fast train"} if row == rows[7] else row for row in gone]
    top = [{"key": "top", "text": "red apple", "label": ""}, {"key": "empty", "text": "", "label": "a"}]
    for night, (some, expected) in enumerate(
        ((rows, Changes(42, 0)), (rows, Changes(0, 0)), (gone, Changes(0, 1)), (top + changed, Changes(3, 0)))
    ):
        file = tmp_path / f"{night}.parquet"
        values = ok_json("embed", few_model, write_csv(manifest, some), out, "--changes", file, "--batch-size", 8)
        assert values["changes"] == vars(expected)
        apply(database, file)
        assert database == mirrored(out, fingerprint)
    assert database["empty"][:4] == (None, None, "a", None)
    result = invoke("embed", few_model, manifest, out, "--changes", tmp_path / "last.parquet")
    assert result.output.endswith(f"0 rows to write, 0 keys to delete in {tmp_path / 'last.parquet'}\n")
    assert invoke("store", "verify", out).exit_code == 0
    assert "nothing is wrong" in invoke("doctor", out).output


def test_a_retrained_model_says_all_and_encodes_nothing(few_emoji: Path, few_model: Path, tmp_path: Path) -> None:
    rows = [{"key": row["key"], "text": row["text"]} for row in read_csv(few_emoji)]
    manifest, out, database = write_csv(tmp_path / "m.csv", rows), tmp_path / "out", Database()
    config = ExtractConfig(shard_size=10)
    embed_source(few_model, manifest, out, config, changes=tmp_path / "1.parquet")
    apply(database, tmp_path / "1.parquet")
    retrained = retrained_model(few_model, tmp_path)
    with pytest.raises(huse.HuseError, match="overwrite"):
        embed_source(retrained, manifest, out, config, changes=tmp_path / "2.parquet")
    assert not (tmp_path / "2.parquet").exists()
    write_csv(manifest, rows[1:])
    first = embed_source(retrained, manifest, out, config, overwrite=True)  # and was killed before it said so
    assert first.extract is not None
    assert first.extract.encoded == 0
    summary = embed_source(retrained, manifest, out, config, changes=tmp_path / "2.parquet")
    assert summary.embedded == 0
    assert summary.changes == Changes(41, 1)
    told = apply(database, tmp_path / "2.parquet")
    assert [key for op, key in told if op == "delete"] == [rows[0]["key"]]
    assert database == mirrored(out, huse.load(retrained).trained.fingerprint)
    again = embed_source(retrained, manifest, out, config, overwrite=True, changes=tmp_path / "3.parquet")
    assert (again.embedded, again.changes) == (41, Changes(0, 0))


def retrained_model(model: Path, tmp_path: Path) -> Path:
    """A model with the same encoders and other weights."""
    trained = load_model(model)
    trained.network.set_weights([weights * 0.9 for weights in trained.network.get_weights()])
    replace(trained).save(tmp_path / "retrained")  # a copy, without the fingerprint that was taken
    return tmp_path / "retrained"


@pytest.mark.parametrize("name", ["v.npy", "v.parquet"])
def test_changes_of_embeddings_in_a_file(few_store: Path, few_model: Path, tmp_path: Path, name: str) -> None:
    summary = embed_source(few_model, few_store, tmp_path / name, fuse=True, changes=tmp_path / "c.parquet")
    assert summary.changes == Changes(42, 0)
    database = Database()
    apply(database, tmp_path / "c.parquet")
    fingerprint = huse.load(few_model).trained.fingerprint
    assert database == mirrored(tmp_path / "v.store", fingerprint, fuse=True)


def test_a_folder_keeps_both_vectors_and_its_changes_may_have_one(
    few_store: Path, few_model: Path, tmp_path: Path
) -> None:
    embed_source(few_model, few_store, tmp_path / "out", fuse=True, changes=tmp_path / "c.parquet")
    database = Database()
    apply(database, tmp_path / "c.parquet")
    assert len(next(iter(database.values()))) == 1 + 4
    assert Store.open(tmp_path / "out").info.image is not None


def test_what_would_be_lost_or_cannot_be_written_is_refused_before_any_work(
    few_store: Path, few_model: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(few_store, source)
    (tmp_path / "table.parquet").write_bytes(b"PAR1")
    for changes, message in (
        ("c.csv", "name a file .parquet"),
        ("out/c.parquet", "is or lies in what is written"),
        ("out.parquet", "is or lies in what is written"),
        ("source/c.parquet", "lies in .*, which is read"),
        ("table.parquet", "is not of huse"),
    ):
        out = tmp_path / ("out.parquet" if changes == "out.parquet" else "out")
        with pytest.raises(QueryError, match=message):
            embed_source(few_model, source, out, changes=tmp_path / changes)
        assert not out.exists()
    embed_source(few_model, source, tmp_path / "other.parquet")
    with pytest.raises(QueryError, match="holds no changes"):
        embed_source(few_model, source, tmp_path / "out", changes=tmp_path / "other.parquet")
