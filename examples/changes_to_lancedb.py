"""Keeps a LanceDB table as `huse embed --changes` says, and searches it.

    huse embed model products.csv embeddings --changes changes.parquet
    python examples/changes_to_lancedb.py DATABASE apply changes.parquet
    python examples/changes_to_lancedb.py DATABASE search model "red shirt"

DATABASE is a folder, or a URL that LanceDB knows. Needs pip install lancedb
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import lancedb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import huse

TABLE = "huse_rows"


def apply(database: lancedb.DBConnection, path: Path) -> None:
    """Writes and deletes the rows that a changes file names; a table of other columns is made anew."""
    file = pq.ParquetFile(path)
    widths = json.loads(file.schema_arrow.metadata[b"huse_changes"])["widths"]
    fields = [field for field in file.schema_arrow if field.name != "op"]
    fields = [pa.field(f.name, pa.list_(pa.float32(), widths[f.name])) if f.name in widths else f for f in fields]
    schema = pa.schema(fields)
    there = TABLE in database.list_tables().tables
    table = database.open_table(TABLE) if there else database.create_table(TABLE, schema=schema)
    if table.schema != schema:  # and then the file names every row
        table = database.create_table(TABLE, schema=schema, mode="overwrite")
    for batch in file.iter_batches(50_000):
        rows = pa.Table.from_batches([batch])
        upserts = rows.filter(pc.equal(rows["op"], "upsert")).drop_columns(["op"]).cast(schema)
        merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(upserts, on_bad_vectors="null")  # a row without a vector is bad to LanceDB
        keys = rows.filter(pc.equal(rows["op"], "delete"))["key"].to_pylist()
        if keys:
            table.delete("key IN ({})".format(", ".join("'{}'".format(key.replace("'", "''")) for key in keys)))


def search(database: lancedb.DBConnection, model: Path, words: str, column: str, k: int) -> None:
    """Prints the nearest rows."""
    vector = huse.load(model).embed_texts([words])[0]
    query = database.open_table(TABLE).search(vector, vector_column_name=column, query_type="vector")
    for hit in query.distance_type("cosine").limit(k).to_list():  # type: ignore[attr-defined]
        print(f"{1 - hit['_distance']:.3f}\t{hit['key']}\t{hit['label'] or hit['prediction'] or ''}")


def main() -> None:
    """Reads the arguments, and applies or searches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("apply").add_argument("file", type=Path)
    searching = commands.add_parser("search")
    searching.add_argument("model", type=Path)
    searching.add_argument("words")
    searching.add_argument("--column", default="image", help="image, text or fused, as the file has them")
    searching.add_argument("-k", type=int, default=5)
    options = parser.parse_args()
    database = lancedb.connect(options.database)
    if options.command == "apply":
        apply(database, options.file)
    else:
        search(database, options.model, options.words, options.column, options.k)


if __name__ == "__main__":
    main()
