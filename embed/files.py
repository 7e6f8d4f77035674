"""Embeddings as one file for other programs: .npy or Parquet, with both vectors of a row or one that fuses them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.codes import encode, stored_type, stored_width
from huse.features.errors import QueryError
from huse.features.exchange.interchange import export_store
from huse.features.exchange.npy import writing_rows
from huse.features.exchange.vector_lists import vector_lists, vector_type
from huse.features.extras import require
from huse.features.files.atomic import replacing, replacing_files
from huse.features.files.folders import require_apart, require_folder_name
from huse.features.files.outputs import MARK, require_output
from huse.features.info import STORE_FILE
from huse.features.rows import Rows
from huse.features.store import Store
from huse.features.unit_rows import unit_rows

SUFFIXES = (".npy", ".parquet")
DESCRIPTIONS = ("key", "label", "prediction", "probability")
"""What is written of a row beside its vector."""

MOST_HEADER = 1000
DIGEST = "vector_digest"
"""Column of a table that ties its rows to those of the array."""


def fused_vectors(rows: Rows) -> NDArray[np.float32]:
    """(n, D) one unit vector a row: along the sum of its two, or the one that it has; zeros when it has none."""
    parts = [its.vectors.astype(np.float32) for _, its in rows.modalities.items() if its.dimension]
    total = np.sum(parts, axis=0)  # a row without a modality has zeros there
    return unit_rows(total)


def require_writable(out: Path, fuse: bool, modalities: int, *inputs: str | Path) -> None:
    """Refuses, before the work is done, what cannot be written after it, or would be written over something else.

    Args:
        out: the file, or the folder of a store.
        fuse: one vector a row is wanted.
        modalities: how many vectors a row has otherwise.
        inputs: what is read; nothing of it is written over.

    Raises:
        QueryError: `fuse` for a store, a .npy file for two vectors a row, an unknown suffix, an output that is an
            input, or a .csv file of the name of `out` that is not of huse.
        ExtraError: Parquet, and no package to write it.
    """
    if out.suffix not in SUFFIXES:
        require_folder_name(out, QueryError, "a file .npy or .parquet")
    if out.suffix == ".npy":
        _require_pair(out, out.with_suffix(".csv"), *inputs)
    if out.suffix == ".parquet":
        require_output(out, QueryError, *inputs)
        require("pyarrow", "parquet", out.name)
    if fuse and out.suffix not in SUFFIXES:
        goes = "fuse=True (--fuse) goes with a file .npy or .parquet, or with changes (--changes)"
        raise QueryError(f"{out}: a store keeps both vectors; {goes}")
    if out.suffix == ".npy" and not fuse and modalities > 1:
        raise QueryError(f"{out}: has room for one vector a row; add fuse=True (--fuse), or name a file .parquet")


def written_files(out: Path) -> list[Path]:
    """The files that an output consists of, beside its store; none for a store alone."""
    if out.suffix == ".npy":
        return [out, out.with_suffix(".csv")]
    return [out] if out.suffix == ".parquet" else []


def _require_pair(array: Path, table: Path, *inputs: str | Path) -> None:
    """Refuses an array and its table where one is an input, or is there and is not known to be of huse."""
    for written in (array, table):
        if written.is_dir():
            raise QueryError(f"{written}: is a folder; name another output")
        require_apart(written, QueryError, *inputs)
    if table.exists() and not _is_own_table(table):
        raise QueryError(f"{table}: would be written beside {array.name}, and is not of huse; name another output")
    store = array.with_suffix(".store") / STORE_FILE  # tells that a run was interrupted between array and table
    if array.exists() and not table.exists() and not store.exists():
        raise QueryError(f"{array}: is there already, without the table {table.name} of huse; name another output")


def _is_own_table(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return file.readline(MOST_HEADER).rstrip("\r\n").split(",")[: len(DESCRIPTIONS)] == list(DESCRIPTIONS)


def write_file(store: Store, out: Path, fuse: bool) -> None:
    """Writes the rows of embeddings as one file, a shard in memory at a time.

    A .npy file (n, D) comes with a .csv file of the same name, which has key, label, prediction and probability of each
    of its rows, and a digest of its vector. A Parquet file has these as columns, beside ``vector`` or the columns of
    `huse store export`. Vectors are as they are stored, codes of int8 and binary embeddings among them; float16 is
    float32 in Parquet.
    """
    if out.suffix == ".npy":
        _write_npy(store, out)
    elif fuse:
        _write_parquet(store, out)
    else:
        export_store(store.path, out)


def _write_npy(store: Store, out: Path) -> None:
    spec = store.info.image or store.info.text
    dtype = store.info.dtype
    shape = (len(store), stored_width(spec.dimension if spec else 0, dtype))
    with (
        replacing_files(out, out.with_suffix(".csv")) as (array_path, table_path),
        writing_rows(array_path, shape, stored_type(dtype)) as write,
        _table(table_path) as table,
    ):
        for rows in store:
            vectors = encode(fused_vectors(rows), dtype)
            write(vectors)
            columns = (rows.columns()[name] for name in DESCRIPTIONS)
            table.writerows(zip(*columns, map(vector_digest, vectors), strict=True))


def vector_digest(vector: NDArray[Any]) -> str:
    """Hexadecimal 8-byte BLAKE2b of a vector's bytes: a row of the table names the row of the array it stands for."""
    return hashlib.blake2b(vector.tobytes(), digest_size=8).hexdigest()


@contextmanager
def _table(path: Path) -> Iterator[Any]:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow((*DESCRIPTIONS, DIGEST))
        yield table


def _write_parquet(store: Store, out: Path) -> None:
    arrow = require("pyarrow", "parquet", out.name)
    parquet = require("pyarrow.parquet", "parquet", out.name)
    spec = store.info.image or store.info.text
    kind = vector_type(arrow, spec.dimension if spec else 0, store.info.dtype)
    schema = arrow.schema([(name, arrow.string()) for name in DESCRIPTIONS[:3]])
    schema = schema.append(arrow.field("probability", arrow.float32())).append(arrow.field("vector", kind))
    schema = schema.with_metadata({"software": MARK})
    with replacing(out) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for rows in store:
            columns: dict[str, Any] = {name: rows.columns()[name] for name in DESCRIPTIONS}
            columns["vector"] = vector_lists(arrow, encode(fused_vectors(rows), store.info.dtype))
            writer.write_table(arrow.table(columns, schema=schema))
