"""The file that says what changed: Parquet, a row for each key that a database is to write or to delete."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.embed.changes.content import Content, predictions
from huse.embed.files import written_files
from huse.features.delivered import Delivered
from huse.features.errors import QueryError
from huse.features.exchange.interchange import ROWS_A_GROUP
from huse.features.extras import require
from huse.features.files.cache import local_copy
from huse.features.files.outputs import MARK, require_output
from huse.features.files.place import real_path, reopen
from huse.features.rows import Rows

UPSERT, DELETE = "upsert", "delete"
META = b"huse_changes"
"""Name of the file's description among its metadata."""


def require_changes(file: Path, out: Path, store: Path, *inputs: str | Path) -> None:
    """Refuses, before any work, a changes file that cannot be written, or that something else would be lost with.

    Args:
        file: the changes file.
        out: the embeddings, or the file that they are written to.
        store: the folder of the embeddings.
        inputs: what is read.

    Raises:
        QueryError: it is no .parquet file, an input or an output, lies in one, or is there and no changes of `out`.
        ExtraError: no package to write it.
        ShardError: what was said so far is damaged.
    """
    if file.suffix != ".parquet":
        raise QueryError(f"{file}: changes are written as Parquet; name a file .parquet")
    require("pyarrow", "parquet", file.name)
    mine, target = [real_path(each) for each in (store, *written_files(out))], real_path(file)
    if target in mine or mine[0] in target.parents:
        raise QueryError(f"{file}: is or lies in what is written beside it, {out}; name another file for the changes")
    require_output(file, QueryError, *inputs)
    untaken(file, Delivered.open(store))


def untaken(file: Path, delivered: Delivered) -> list[str]:
    """The keys of a changes file that lies where the next is to be written; none when nothing does.

    Nobody may have read it: whatever it says is said again.

    Raises:
        QueryError: it is of other embeddings, or no changes file.
    """
    reopen(file)
    if not file.exists():
        return []
    arrow, parquet = (require(name, "parquet", file.name) for name in ("pyarrow", "pyarrow.parquet"))
    try:
        with parquet.ParquetFile(local_copy(file), page_checksum_verification=True) as opened:
            described = json.loads((opened.schema_arrow.metadata or {})[META])
            if described["feed"] == delivered.feed:
                return [str(key) for key in opened.read(["key"], use_threads=False).column("key").to_pylist()]
    except (arrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk
            raise
        raise QueryError(f"{file}: is there already, and holds no changes ({error!r}); name another file") from error
    raise QueryError(f"{file}: holds changes of other embeddings; apply them and remove it, or name another file")


class ChangesWriter:
    """Takes changes as they are found, and writes them in groups that are neither tiny nor large.

    Attributes:
        upserts: rows that were told so far.
        deletes: keys that were told to be gone.
    """

    def __init__(self, writer: Any, schema: Any, content: Content) -> None:
        self._writer = writer
        self._schema = schema
        self._content = content
        self._waiting: list[Any] = []
        self.upserts = 0
        self.deletes = 0

    def upsert(self, rows: Rows) -> None:
        """Tells what rows are now."""
        for start in range(0, len(rows), ROWS_A_GROUP):
            part = rows.take(np.arange(start, min(start + ROWS_A_GROUP, len(rows))))
            prediction, probability = predictions(part)
            values: dict[str, Any] = {name: _lists(*vectors) for name, vectors in self._content.vectors(part).items()}
            values |= {"label": [label or None for label in part.label]}
            values |= {"prediction": [predicted or None for predicted in prediction]}
            values |= {"probability": np.ma.array(probability, mask=~prediction.astype(bool))}
            self._add(UPSERT, part.key.tolist(), values)
        self.upserts += len(rows)

    def delete(self, keys: list[str]) -> None:
        """Tells that keys are gone."""
        self._add(DELETE, keys, {})
        self.deletes += len(keys)

    def flush(self) -> None:
        """Writes what was told and is not in the file yet."""
        if self._waiting:
            arrow = require("pyarrow", "parquet", "changes")
            self._writer.write_table(arrow.concat_tables(self._waiting).combine_chunks(), ROWS_A_GROUP)
            self._waiting = []

    def _add(self, op: str, keys: list[str], values: dict[str, Any]) -> None:
        if not keys:
            return
        arrow = require("pyarrow", "parquet", "changes")
        n = len(keys)
        values = {"key": keys, "op": [op] * n, "model": [self._content.model] * n, **values}
        columns = [values.get(each.name, arrow.nulls(n, each.type)) for each in self._schema]
        arrays = [arrow.array(column, each.type) for column, each in zip(columns, self._schema, strict=True)]
        self._waiting.append(arrow.table(arrays, schema=self._schema))
        if sum(map(len, self._waiting)) >= ROWS_A_GROUP:
            self.flush()


@contextmanager
def writing_changes(path: Path, feed: str, content: Content) -> Iterator[ChangesWriter]:
    """Writes a changes file; see docs/formats.md.

    Vectors are lists of one length, not Arrow's lists of a fixed size: pyarrow before 26 cannot read these where some
    are empty.
    """
    arrow, parquet = (require(name, "parquet", path.name) for name in ("pyarrow", "pyarrow.parquet"))
    fields = [(name, arrow.string()) for name in ("key", "op")]
    fields += [(name, arrow.list_(arrow.float32())) for name in content.widths]
    fields += [(name, arrow.string()) for name in ("label", "prediction")]
    fields += [("probability", arrow.float32()), ("model", arrow.string())]
    described = json.dumps({"feed": feed, **vars(content)})
    schema = arrow.schema(fields, {"software": MARK, META: described})
    with parquet.ParquetWriter(path, schema, write_page_checksum=True) as file:
        writer = ChangesWriter(file, schema, content)
        yield writer
        writer.flush()


def _lists(vectors: NDArray[Any], there: NDArray[np.bool_]) -> Any:
    """(n, D) vectors as Arrow's lists, nothing where there is none."""
    arrow = require("pyarrow", "parquet", "changes")
    ends = np.concatenate([[0], np.cumsum(there, dtype=np.int64)]) * vectors.shape[1]
    values = arrow.array(vectors[there].astype(np.float32).ravel())
    return arrow.ListArray.from_arrays(arrow.array(ends.astype(np.int32)), values, mask=arrow.array(~there))
