"""A database that takes changes files: what it holds, by key, and what it must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet

from huse.embed.files import fused_vectors
from huse.features.store import Store

Database = dict[str, tuple[Any, ...]]


def apply(database: Database, file: Path | str) -> list[tuple[str, str]]:
    """Applies a changes file; returns what it says, as (op, key)."""
    rows = pyarrow.parquet.read_table(file).to_pylist()
    for row in rows:
        key, op = row.pop("key"), row.pop("op")
        if op == "delete":
            assert [name for name, value in row.items() if value is not None] == ["model"]
            database.pop(key, None)
        else:
            assert op == "upsert"
            database[key] = tuple(tuple(value) if isinstance(value, list) else value for value in row.values())
    return [(row["op"], row["key"]) for row in pyarrow.parquet.read_table(file, columns=["op", "key"]).to_pylist()]


def mirrored(out: Path | str, model: str, fuse: bool = False) -> Database:
    """What a database holds that has applied all changes of some embeddings."""
    held: Database = {}
    for rows in Store.open(out):
        sides = [(its.vectors, its.present) for _, its in rows.modalities.items() if its.dimension]
        if fuse:
            sides = [(fused_vectors(rows), np.any([present for _, present in sides], axis=0))]
        for i, key in enumerate(rows.key):
            vectors = [tuple(map(float, v[i])) if present[i] else None for v, present in sides]
            predicted = rows.prediction[i] if rows.prediction is not None else ""
            probability = float(rows.probability[i]) if predicted and rows.probability is not None else None
            held[key] = (*vectors, rows.label[i] or None, predicted or None, probability, model)
    return held
