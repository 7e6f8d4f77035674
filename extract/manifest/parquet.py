"""Parquet files, with images in cells as Hugging Face's data sets have them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from huse.extract.manifest.cells import IMAGE_FIELDS, Cell, cell_of
from huse.extract.manifest.table import Record, Table, require_once
from huse.features.errors import ManifestError
from huse.features.extras import require
from huse.features.files.cache import local_copy

PARQUET = (".parquet", ".pq")

ROWS = 10_000
"""Rows read at a time."""

IMAGE_ROWS = 64
"""Rows read at a time when they hold images."""

BUFFER = 1 << 20
"""Bytes of a column that are read at a time, so that no row group has to fit in memory."""


def read_parquet(path: Path, wanted: Collection[str], image: str) -> Table:
    """The table of a Parquet file.

    Args:
        path: the file.
        wanted: columns that are read; others may hold anything.
        image: which of them holds images: locations, bytes, or structs of bytes and path.

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
        raise ManifestError(f"{path}: not a Parquet file ({_line(error)}); write it again") from error
    chosen = [name for name in schema.names if name in wanted]
    require_once(f"{path}", schema.names, wanted)
    for name in chosen:
        _require_plain(path, arrow, schema.field(name), name == image)
    return Table(dict.fromkeys(schema.names), _records(path, arrow, file, chosen, image))


def _records(path: Path, arrow: Any, file: Any, chosen: list[str], image: str) -> Iterator[Record]:
    held = image in chosen and _holds_bytes(arrow, file.schema_arrow.field(image).type)
    number = 0
    try:
        for batch in file.iter_batches(IMAGE_ROWS if held else ROWS, columns=chosen):
            columns = [_cells(path, arrow, batch.column(name), name, held and name == image) for name in chosen]
            for row in zip(*columns, strict=True):
                number += 1
                yield number, dict(zip(chosen, row, strict=True))
    except (arrow.ArrowException, OSError) as error:
        _raise_system_error(error)
        raise ManifestError(f"{path}: damaged after row {number} ({_line(error)}); write it again") from error


def _cells(path: Path, arrow: Any, column: Any, name: str, held: bool) -> list[Cell]:
    try:
        return [cell_of(value, held) for value in _values(arrow, column)]
    except arrow.ArrowException:
        raise
    except (ValueError, OverflowError, KeyError) as error:  # times that Python has none for, and types of others
        raise ManifestError(
            f"{path}: column {name!r} holds {column.type} that cannot be read ({_line(error)}); write it as text"
        ) from error


def _values(arrow: Any, column: Any) -> list[Any]:
    """The values of a column in Python's types; strings as bytes, since the file may hold other than UTF-8."""
    kinds = arrow.types
    if kinds.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if kinds.is_struct(kind):
        parts = {
            kind.field(i).name: _values(arrow, part) for i, part in enumerate(column.flatten())
        }  # fields of what is null are null
        return [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
    for text, raw in _raw_types(arrow).items():
        if kind == text:
            return list(column.cast(raw).to_pylist())
    if kinds.is_float16(kind) or kinds.is_float32(kind):
        width = np.float16 if kinds.is_float16(kind) else np.float32
        return [None if value is None else float(str(width(value))) for value in column.to_pylist()]
    if kinds.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(arrow.timestamp("us", kind.tz), safe=False)
    if kinds.is_time64(kind) and kind.unit == "ns":
        column = column.cast(arrow.time64("us"), safe=False)
    if kinds.is_duration(kind) and kind.unit == "ns":
        column = column.cast(arrow.duration("us"), safe=False)
    return list(column.to_pylist())


def _raw_types(arrow: Any) -> dict[Any, Any]:
    return {
        arrow.string(): arrow.binary(),
        arrow.large_string(): arrow.large_binary(),
        arrow.string_view(): arrow.binary_view(),
    }


def _holds_bytes(arrow: Any, kind: Any) -> bool:
    if arrow.types.is_dictionary(kind):
        kind = kind.value_type
    if arrow.types.is_struct(kind):
        return True
    return any(str(kind).startswith(name) for name in ("binary", "large_binary", "fixed_size_binary"))


def _require_plain(path: Path, arrow: Any, field: Any, held: bool) -> None:
    kind = field.type
    if held and arrow.types.is_struct(kind) and {part.name for part in kind} <= IMAGE_FIELDS:
        return
    if arrow.types.is_nested(kind):
        also = ", or structs of bytes and path" if held else ""
        raise ManifestError(f"{path}: column {field.name!r} holds {kind}; write one string a row{also}")


def _raise_system_error(error: Exception) -> None:
    """Raises what the system says of a file again; of damage, which is an OSError too, it says nothing."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
