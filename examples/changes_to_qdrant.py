"""Keeps a Qdrant collection as `huse embed --changes` says, and searches it.

    huse embed model products.csv embeddings --changes changes.parquet
    python examples/changes_to_qdrant.py http://localhost:6333 apply changes.parquet
    python examples/changes_to_qdrant.py http://localhost:6333 search model "red shirt"

In place of a server's URL, a folder keeps a small collection in this process. Needs pip install qdrant-client
"""

from __future__ import annotations

import argparse
import json
import uuid
from pathlib import Path

import pyarrow.parquet as pq
from qdrant_client import QdrantClient, models

import huse

NAME = "huse_rows"


def apply(client: QdrantClient, path: Path) -> None:
    """Writes and deletes the points that a changes file names; a collection of other vectors is made anew."""
    file = pq.ParquetFile(path)
    widths = json.loads(file.schema_arrow.metadata[b"huse_changes"])["widths"]
    vectors = {name: models.VectorParams(size=n, distance=models.Distance.COSINE) for name, n in widths.items()}
    if client.collection_exists(NAME) and vectors_of(client) != widths:
        client.delete_collection(NAME)  # the file names every row
    if not client.collection_exists(NAME):
        client.create_collection(NAME, vectors_config=vectors)
    for batch in file.iter_batches(1000):
        points: list[models.PointStruct] = []
        gone: list[int | str | uuid.UUID] = []
        for row in batch.to_pylist():
            number = str(uuid.uuid5(uuid.NAMESPACE_URL, row["key"]))  # Qdrant takes no names
            if row.pop("op") == "delete":
                gone.append(number)
            else:
                given = {name: row.pop(name) for name in widths}
                there = {name: vector for name, vector in given.items() if vector}
                points.append(models.PointStruct(id=number, vector=there, payload=row))
        if points:
            client.upsert(NAME, points)
        if gone:
            client.delete(NAME, points_selector=models.PointIdsList(points=gone))


def vectors_of(client: QdrantClient) -> dict[str, int]:
    """The lengths of a collection's vectors, by name."""
    vectors = client.get_collection(NAME).config.params.vectors
    return {name: its.size for name, its in vectors.items()} if isinstance(vectors, dict) else {}


def search(client: QdrantClient, model: Path, words: str, column: str, k: int) -> None:
    """Prints the nearest rows."""
    query = huse.load(model).embed_texts([words])[0].tolist()
    for hit in client.query_points(NAME, query=query, using=column, limit=k).points:
        row = hit.payload or {}
        print(f"{hit.score:.3f}\t{row['key']}\t{row['label'] or row['prediction'] or ''}")


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
    where = {"url" if "://" in options.database else "path": options.database}
    client = QdrantClient(**where)
    if options.command == "apply":
        apply(client, options.file)
    else:
        search(client, options.model, options.words, options.column, options.k)
    client.close()


if __name__ == "__main__":
    main()
