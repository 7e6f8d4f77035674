"""Tables in memory: data frames and Arrow tables of any library, by the protocols that they share."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, Protocol, cast, runtime_checkable

from huse.extract.manifest.arrow import line_of, read_arrow
from huse.extract.manifest.table import Record, Table
from huse.features.errors import ManifestError
from huse.features.extras import require


@runtime_checkable
class ArrowStream(Protocol):
    """What gives its rows as a stream of Arrow's C interface: pandas, polars, pyarrow, DuckDB, ..."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The stream, in a PyCapsule."""
        ...


@runtime_checkable
class Interchange(Protocol):
    """What gives its rows by the older protocol of data frames."""

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> object:
        """The frame as that protocol has it."""
        ...


Frame = ArrowStream | Interchange
"""A table in memory; what is no instance of it is a path."""


def frame_name(frame: Frame) -> str:
    """What stands for the path of a manifest that has none."""
    return f"<{type(frame).__name__}>"


def read_frame(frame: Frame, wanted: Collection[str], image: str) -> Table:
    """The table of a data frame or an Arrow table; arguments as `read_arrow`.

    Raises:
        ManifestError: a wanted column stands twice, holds lists or structs, or what Arrow has no one type for.
        ExtraError: pyarrow is not installed.
    """
    where = frame_name(frame)
    arrow = require("pyarrow", "parquet", f"a {type(frame).__name__}")
    names = _names(frame)
    try:
        stream = _stream(arrow, _narrowed(frame, names, wanted))
        table = read_arrow(arrow, where, stream.schema, lambda rows, _: _slices(stream, rows), wanted, image)
    except ManifestError:
        raise
    except Exception as error:
        raise _unreadable(where, error) from error
    columns = dict.fromkeys([*names, *table.columns])
    return replace(table, columns=columns, records=_readable(arrow, where, table.records))


def _names(frame: Frame) -> list[str]:
    """The names of a data frame's columns; none of a table whose columns are not to be had by name."""
    return [name for name in getattr(frame, "columns", []) if isinstance(name, str)]


def _narrowed(frame: Any, names: list[str], wanted: Collection[str]) -> Frame:
    """A frame without the columns that nobody asks for, which may hold what Arrow has no type for."""
    used = [name for name in names if name in wanted]
    try:
        narrowed: Frame = frame[used] if used else frame
    except Exception:  # noqa: BLE001 - DuckDB takes one name at a time, and raises what it likes
        return cast(Frame, frame)
    return narrowed


def _stream(arrow: Any, frame: Frame) -> Any:
    if isinstance(frame, ArrowStream):
        return arrow.RecordBatchReader.from_stream(frame)
    return require("pyarrow.interchange", "parquet", "a data frame").from_dataframe(frame).to_reader()


def _slices(stream: Any, rows: int) -> Iterator[Any]:
    """Batches of at most so many rows, however large those of a stream are; nothing is copied."""
    for batch in stream:
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def _readable(arrow: Any, where: str, records: Iterator[Record]) -> Iterator[Record]:
    try:
        yield from records
    except (arrow.ArrowException, OSError) as error:  # what a library raises comes through the stream as these
        raise _unreadable(where, error) from error


def _unreadable(where: str, error: Exception) -> ManifestError:
    """What to say of what a library raises of its own, which may be anything."""
    return ManifestError(
        f"{where}: cannot be read as Arrow ({type(error).__name__}: {line_of(error)}); give each column one type, or "
        "write the table to a file"
    )
