"""Keeps a table of PostgreSQL, with the extension pgvector, as `huse embed --changes` says, and searches it.

    huse embed model products.csv embeddings --changes changes.parquet
    python examples/changes_to_pgvector.py postgresql://localhost/shop apply changes.parquet
    python examples/changes_to_pgvector.py postgresql://localhost/shop search model "red shirt"

Needs pip install 'psycopg[binary]', and the extension: Debian's package postgresql-NN-pgvector
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pyarrow.parquet as pq

import huse

TABLE = "huse_rows"
PLAIN = {"label": "text", "prediction": "text", "probability": "real", "model": "text"}


def apply(connection: psycopg.Connection, path: Path) -> None:
    """Writes and deletes the rows that a changes file names, in one transaction; other columns make a table anew."""
    file = pq.ParquetFile(path)
    widths = json.loads(file.schema_arrow.metadata[b"huse_changes"])["widths"]
    types = {"key": "text PRIMARY KEY", **{name: f"vector({width})" for name, width in widths.items()}, **PLAIN}
    columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
    names, values = ", ".join(types), ", ".join(f"%({name})s" for name in types)
    news = ", ".join(f"{name} = EXCLUDED.{name}" for name in types)
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    said = connection.execute("SELECT obj_description(to_regclass(%s))", [TABLE]).fetchone()
    if said != (columns,):  # the file names every row
        connection.execute(f"DROP TABLE IF EXISTS {TABLE}; CREATE TABLE {TABLE} ({columns})")
        connection.execute(f"COMMENT ON TABLE {TABLE} IS '{columns}'")
    upsert = f"INSERT INTO {TABLE} ({names}) VALUES ({values}) ON CONFLICT (key) DO UPDATE SET {news}"
    for batch in file.iter_batches(1000):
        rows = batch.to_pylist()
        for row in rows:
            row.update({name: row[name] and literal(row[name]) for name in widths})
        cursor = connection.cursor()
        cursor.executemany(upsert, [row for row in rows if row["op"] == "upsert"])
        cursor.execute(
            f"DELETE FROM {TABLE} WHERE key = ANY(%s)", [[row["key"] for row in rows if row["op"] == "delete"]]
        )


def literal(vector: Sequence[float]) -> str:
    """A vector as pgvector reads it."""
    return str([float(value) for value in vector])


def search(connection: psycopg.Connection, model: Path, words: str, column: str, k: int) -> None:
    """Prints the nearest rows."""
    near = f"{column} <=> %(query)s::vector"
    query = f"SELECT 1 - ({near}), key, coalesce(label, prediction, '') FROM {TABLE} WHERE {column} IS NOT NULL"
    query += f" ORDER BY {near} LIMIT %(k)s"
    vector = literal(huse.load(model).embed_texts([words])[0])
    for score, key, label in connection.execute(query, {"query": vector, "k": k}):
        print(f"{score:.3f}\t{key}\t{label}")


def main() -> None:
    """Reads the arguments, and applies or searches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("apply").add_argument("file", type=Path)
    searching = commands.add_parser("search")
    searching.add_argument("model", type=Path)
    searching.add_argument("words")
    searching.add_argument("--column", default="image", choices=["image", "text", "fused"])
    searching.add_argument("-k", type=int, default=5)
    options = parser.parse_args()
    with psycopg.connect(options.database) as connection:
        if options.command == "apply":
            apply(connection, options.file)
        else:
            search(connection, options.model, options.words, options.column, options.k)


if __name__ == "__main__":
    main()
