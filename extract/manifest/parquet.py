"""Parquet files."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from huse.extract.manifest.arrow import line_of, read_arrow
from huse.extract.manifest.table import Record, Table
from huse.features.errors import ManifestError
from huse.features.extras import require
from huse.features.files.cache import local_copy

PARQUET = (".parquet", ".pq")

BUFFER = 1 << 20
"""Bytes of a column that are read at a time, so that no row group has to fit in memory."""


def read_parquet(path: Path, wanted: Collection[str], image: str) -> Table:
    """The table of a Parquet file; arguments as `read_arrow`.

    Raises:
        ManifestError: it is no Parquet file, or a wanted column holds lists or structs; while reading: it is damaged.
        ExtraError: the package that reads it is not installed.
    """
    parquet = require("pyarrow.parquet", "parquet", f"{path.name}")
    arrow = require("pyarrow", "parquet", f"{path.name}")
    try:
        file = parquet.ParquetFile(local_copy(path), buffer_size=BUFFER)
        schema = file.schema_arrow
    except (arrow.ArrowException, OSError) as error:
        _raise_system_error(error)
        raise ManifestError(f"{path}: not a Parquet file ({line_of(error)}); write it again") from error

    def batches(rows: int, columns: list[str]) -> Iterator[Any]:
        return iter(file.iter_batches(rows, columns=columns))

    table = read_arrow(arrow, str(path), schema, batches, wanted, image)
    return replace(table, records=_undamaged(path, arrow, table.records))


def _undamaged(path: Path, arrow: Any, records: Iterator[Record]) -> Iterator[Record]:
    number = 0
    try:
        for number, record in records:
            yield number, record
    except (arrow.ArrowException, OSError) as error:
        _raise_system_error(error)
        raise ManifestError(f"{path}: damaged after row {number} ({line_of(error)}); write it again") from error


def _raise_system_error(error: Exception) -> None:
    """Raises what the system says of a file again; of damage, which is an OSError too, it says nothing."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
