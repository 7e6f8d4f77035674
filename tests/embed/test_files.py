"""Embeddings as one file: what is never written over, and an array that its table belongs to."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from samples import IMAGE_SPEC, random_rows

from huse.embed.files import DIGEST, require_writable, vector_digest, write_file
from huse.features.errors import QueryError
from huse.features.info import EMBEDDINGS, StoreInfo
from huse.features.rows import Rows
from huse.features.store import Store


@pytest.fixture
def embeddings(tmp_path: Path) -> Store:
    rows = random_rows(9)
    plain = Rows.empty(9, 6, 0)
    plain.key[:], plain.image.vectors[:], plain.image.present[:] = rows.key, rows.image.vectors, True
    plain.prediction, plain.probability = rows.label, np.full(9, 0.5, np.float32)
    plain.prediction[0] = 'a "b", c'
    store = Store.create(tmp_path / "v.store", StoreInfo(EMBEDDINGS, IMAGE_SPEC, None, 4, "float32"))
    store.write_all([plain])
    return store


def test_the_table_names_each_row_of_the_array(embeddings: Store, tmp_path: Path) -> None:
    out = tmp_path / "v.npy"
    for _ in range(2):
        require_writable(out, False, 1)
        write_file(embeddings, out, False)
    vectors = np.load(out)
    with (tmp_path / "v.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["key"] for row in table] == embeddings.load().key.tolist()
    assert [row[DIGEST] for row in table] == [vector_digest(vector) for vector in vectors]


def test_a_table_that_is_read_or_foreign_stays(tmp_path: Path) -> None:
    manifest = tmp_path / "products.csv"
    manifest.write_text("image,text\na.png,shirt\n")
    for inputs, message in (([manifest], "is what is read"), ([tmp_path / "other"], "is not of huse")):
        with pytest.raises(QueryError, match=message):
            require_writable(tmp_path / "products.npy", True, 2, *inputs)
    np.save(tmp_path / "mine.npy", np.zeros(3))
    with pytest.raises(QueryError, match=r"mine\.npy: is there already"):
        require_writable(tmp_path / "mine.npy", True, 2)
    (tmp_path / "mine.parquet").write_bytes(b"PAR1")
    with pytest.raises(QueryError, match="is not of huse"):
        require_writable(tmp_path / "mine.parquet", True, 2)


def test_a_run_that_died_between_array_and_table_is_done_again(embeddings: Store, tmp_path: Path) -> None:
    write_file(embeddings, tmp_path / "v.npy", True)
    (tmp_path / "v.csv").unlink()
    require_writable(tmp_path / "v.npy", True, 2)


@pytest.mark.parametrize("name", ["vec.csv", "vec.npz", "vec.h5", "vec.json"])
def test_an_unknown_suffix_makes_no_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"unknown suffix .*name a folder without one, or a file \.npy or \.parquet"):
        require_writable(tmp_path / name, False, 1)
