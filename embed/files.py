"""Embeddings as one file for other programs: .npy or Parquet, with both vectors of a row or one that fuses them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huse.features.atomic import replacing
from huse.features.errors import QueryError
from huse.features.extras import require
from huse.features.interchange import export_store
from huse.features.rows import Rows
from huse.features.store import Store

SUFFIXES = (".npy", ".parquet")
DESCRIPTIONS = ("key", "label", "prediction", "probability")
"""What is written of a row beside its vector."""


def fused_vectors(rows: Rows) -> NDArray[np.float32]:
    """(n, D) one unit vector a row: along the sum of its two, or the one that it has; zeros when it has none."""
    parts = [v.astype(np.float32) for v in (rows.image, rows.text) if v.shape[1]]
    total = np.sum(parts, axis=0)  # a row without a modality has zeros there
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12), np.float32)


def require_writable(out: Path, fuse: bool, modalities: int) -> None:
    """Refuses, before the work is done, what cannot be written after it.

    Args:
        out: the file, or the folder of a store.
        fuse: one vector a row is wanted.
        modalities: how many vectors a row has otherwise.

    Raises:
        QueryError: `fuse` for a store, or a .npy file for two vectors a row.
        ExtraError: Parquet, and no package to write it.
    """
    if out.suffix == ".parquet":
        require("pyarrow", "parquet", out.name)
    if fuse and out.suffix not in SUFFIXES:
        raise QueryError(f"{out}: a store keeps both vectors; --fuse goes with a file .npy or .parquet")
    if out.suffix == ".npy" and not fuse and modalities > 1:
        raise QueryError(f"{out}: has room for one vector a row; add --fuse, or name a file .parquet")


def write_file(store: Store, out: Path, fuse: bool) -> None:
    """Writes the rows of embeddings as one file, a shard in memory at a time.

    A .npy file (n, D) comes with a .csv file of the same name, which has key, label, prediction and probability of each
    of its rows. A Parquet file has these as columns, beside ``vector`` or the columns of `huse store export`.
    """
    if out.suffix == ".npy":
        _write_npy(store, out)
    elif fuse:
        _write_parquet(store, out)
    else:
        export_store(store.path, out)


def _write_npy(store: Store, out: Path) -> None:
    spec = store.info.image or store.info.text
    shape = (len(store), spec.dimension if spec else 0)
    with replacing(out) as array_path, replacing(out.with_suffix(".csv")) as table_path:
        array = np.lib.format.open_memmap(array_path, "w+", store.info.dtype, shape)
        with table_path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(DESCRIPTIONS)
            done = 0
            for rows in store:
                array[done : done + len(rows)] = fused_vectors(rows)
                table.writerows(zip(*(getattr(rows, name) for name in DESCRIPTIONS), strict=True))
                done += len(rows)
        array.flush()
        del array


def _write_parquet(store: Store, out: Path) -> None:
    arrow = require("pyarrow", "parquet", out.name)
    parquet = require("pyarrow.parquet", "parquet", out.name)
    spec = store.info.image or store.info.text
    kind = arrow.list_(arrow.float32(), spec.dimension if spec else 0)
    schema = arrow.schema([(name, arrow.string()) for name in DESCRIPTIONS[:3]])
    schema = schema.append(arrow.field("probability", arrow.float32())).append(arrow.field("vector", kind))
    with replacing(out) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for rows in store:
            columns = {name: getattr(rows, name) for name in DESCRIPTIONS}
            flat = arrow.array(fused_vectors(rows).ravel())
            columns["vector"] = arrow.FixedSizeListArray.from_arrays(flat, kind.list_size)
            writer.write_table(arrow.table(columns, schema=schema))
