"""Arrow batches as a table, with images in cells and classes by name as Hugging Face's data sets have them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from huse.extract.manifest.cells import IMAGE_FIELDS, Cell, cell_of
from huse.extract.manifest.hugging_face import class_names, image_column, named
from huse.extract.manifest.table import Record, Table, require_once
from huse.features.errors import ManifestError

ROWS = 10_000
"""Rows read at a time."""

IMAGE_ROWS = 64
"""Rows read at a time when they hold images."""

IMAGE = "image"
"""Name of the column of images, unless another is named: any that is declared to hold images stands for it."""

Batches = Callable[[int, list[str]], Iterator[Any]]
"""Gives record batches of at most so many rows, with some columns."""


def read_arrow(arrow: Any, where: str, schema: Any, batches: Batches, wanted: Collection[str], image: str) -> Table:
    """The table of Arrow batches.

    Args:
        arrow: the module pyarrow.
        where: what they are from, for messages.
        schema: of the batches.
        batches: gives them.
        wanted: columns that are read; others may hold anything.
        image: which of them holds images: locations, bytes, or structs of bytes and path.

    Raises:
        ManifestError: a wanted column stands twice, or holds lists or structs; while reading: a value cannot be read.
    """
    declared = image_column(schema) if image == IMAGE and IMAGE not in schema.names else None
    called = {name: image if name == declared else name for name in schema.names}
    chosen = [name for name in schema.names if called[name] in wanted]
    require_once(where, schema.names, [*wanted, *chosen])
    for name in chosen:
        _require_plain(where, arrow, schema.field(name), called[name] == image)
    held = {name for name in chosen if called[name] == image and _holds_bytes(arrow, schema.field(name).type)}
    cells = _Cells(arrow, where, held, class_names(schema))
    found = batches(IMAGE_ROWS if held else ROWS, chosen)
    return Table(dict.fromkeys(called.values()), _records(cells, found, {name: called[name] for name in chosen}))


def _records(cells: _Cells, batches: Iterator[Any], called: Mapping[str, str]) -> Iterator[Record]:
    number = 0
    for batch in batches:
        columns = [cells.of(batch.column(name), name, number) for name in called]
        for row in zip(*columns, strict=True):
            number += 1
            yield number, dict(zip(called.values(), row, strict=True))


class _Cells:
    """The columns of batches as cells.

    Args:
        arrow: the module pyarrow.
        where: what the batches are from.
        held: columns that hold images.
        classes: names of the classes by column.
    """

    def __init__(self, arrow: Any, where: str, held: Collection[str], classes: Mapping[str, Sequence[str]]) -> None:
        self._arrow, self._where, self._held, self._classes = arrow, where, held, classes

    def of(self, column: Any, name: str, before: int) -> list[Cell]:
        """The cells of a column, which has so many rows before it."""
        try:
            values = _values(self._arrow, column)
            if name in self._classes:
                values = self._names(values, name, before)
            return [cell_of(value, name in self._held) for value in values]
        except self._arrow.ArrowException:
            raise
        except (ValueError, OverflowError, KeyError) as error:  # times that Python has none for, and types of others
            raise ManifestError(
                f"{self._where}: column {name!r} holds {column.type} that cannot be read ({line_of(error)}); "
                "write it as text"
            ) from error

    def _names(self, values: list[Any], name: str, before: int) -> list[Any]:
        names = self._classes[name]
        for i, value in enumerate(values):
            if isinstance(value, int):
                try:
                    values[i] = named(value, names)
                except IndexError as error:
                    raise ManifestError(
                        f"{self._where}:{before + i + 1}: column {name!r} holds class {value}, and its ClassLabel "
                        f"names {len(names)}, from 0 on; write the names themselves"
                    ) from error
        return values


def _values(arrow: Any, column: Any) -> list[Any]:
    """The values of a column in Python's types; strings as bytes, since the file may hold other than UTF-8."""
    kinds = arrow.types
    if kinds.is_dictionary(column.type):
        words = _values(arrow, column.dictionary)
        return [None if number is None else words[number] for number in column.indices.to_pylist()]
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


def _require_plain(where: str, arrow: Any, field: Any, held: bool) -> None:
    kind = field.type
    if held and arrow.types.is_struct(kind) and {part.name for part in kind} <= IMAGE_FIELDS:
        return
    if arrow.types.is_nested(kind):
        also = ", or structs of bytes and path" if held else ""
        raise ManifestError(f"{where}: column {field.name!r} holds {kind}; write one string a row{also}")


def line_of(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split())
