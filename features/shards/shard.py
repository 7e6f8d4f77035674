"""One HDF5 file of rows: written whole, and never believed without its digests.

The layout is described in docs/formats.md. Equal rows and attributes give equal bytes: nothing in the file depends on
time, path or process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.columns import FAILURE_STRINGS, REBUILD, VECTORS, Arrays, Dimensions, is_finite
from huse.features.errors import ShardError
from huse.features.failure import Failure
from huse.features.files.atomic import write_files
from huse.features.files.cache import healed
from huse.features.modality import Pair
from huse.features.rows import Rows
from huse.features.shards import hdf5
from huse.features.shards.packing import pack
from huse.features.shards.version_1 import Version1Columns
from huse.features.shards.version_2 import ShardColumns, digest_of

FORMAT_VERSION = 2

Attributes = Mapping[str, str | int]


def write_shard(path: Path, rows: Rows, attributes: Attributes, dtype: str = "float16", compression: str = "") -> None:
    """Writes a shard so that it is there whole or not at all.

    Args:
        path: the final file; a temporary file beside it is written in sequence, synced and renamed onto it.
        rows: what to store.
        attributes: strings and integers kept in the file's root, such as fingerprints.
        dtype: stored type of the vectors, see `StoreInfo`.
        compression: of the vectors: ``""``, ``lzf`` or ``gzip``.

    Raises:
        ShardError: a vector is not finite in the stored type.
        OSError: the disk is full, or cannot be written to.
    """
    write_files({path: shard_bytes(path, rows, attributes, dtype, compression)[0]})


def shard_bytes(path: Path, rows: Rows, attributes: Attributes, dtype: str, compression: str) -> tuple[bytes, str]:
    """The file that `write_shard` writes, and its content digest; `path` is named in errors alone."""
    with np.errstate(over="ignore"):
        columns = rows.encoded(dtype).columns()
    strings = {name: values for name, values in columns.items() if values.dtype == object}
    strings |= dict(zip(FAILURE_STRINGS, _failure_columns(rows.failures), strict=True))
    arrays = {name: values for name, values in columns.items() if name not in strings}
    for name in VECTORS:
        _require_finite(arrays[name], rows, name, path)
    _require_keys(rows, path)
    data, ends = pack(list(strings.values()))
    digests = {name: digest_of(name, values) for name, values in arrays.items()}
    start = at = 0
    for name, values in strings.items():
        own = ends[at : at + len(values)]
        stop = int(own[-1]) if len(own) else start
        digests[name] = digest_of(name, own - np.uint64(start), data[start:stop])
        start, at = stop, at + len(values)
    stored: dict[str, str | int] = {
        **attributes,
        "format_version": FORMAT_VERSION,
        "rows": len(rows),
        "columns": json.dumps({"digests": digests, "failures": len(rows.failures), "strings": list(strings)}),
    }
    stored["content_digest"] = attributes_digest(stored)
    compressed = dict.fromkeys(VECTORS, compression)
    image = hdf5.file_image({**arrays, "strings": data, "string_ends": ends}, stored, compressed)
    return image, str(stored["content_digest"])


def read_shard(
    path: Path, widths: Pair[int] | None = None, dtype: str | None = None
) -> tuple[Rows, dict[str, str | int]]:
    """Reads a whole shard and checks it.

    Args:
        path: the file.
        widths: length of the vectors that the shard must have.
        dtype: type of the vectors that it must have.

    Returns:
        The rows, vectors as they are stored, and the root attributes without those that describe the layout.

    Raises:
        ShardError: the file does not open, is of another format version, points outside itself, declares what is not in
            it, has a vector that is not finite, or does not match its digests.
    """
    return healed(path, lambda: _read_shard(path, Dimensions(widths, dtype)))


def _read_shard(path: Path, dimensions: Dimensions) -> tuple[Rows, dict[str, str | int]]:
    with open_shard(path, dimensions) as shard:
        found = shard.read(shard.names)
        failures = zip(*(found[name] for name in FAILURE_STRINGS), strict=True)
        return Rows.of_columns(found, [Failure(*values) for values in failures]), shard.described


def read_columns(path: Path, names: tuple[str, ...]) -> Arrays:
    """Reads some columns only, strings decoded, and checks them by their digests.

    Raises:
        ShardError: as `read_shard`.
    """
    with open_shard(path) as shard:
        return shard.read(names)


def read_slice(path: Path, names: tuple[str, ...], start: int, stop: int | None) -> Arrays:
    """Rows `start` to `stop` of some columns.

    The first slice of a column reads the whole of it, block by block, and checks its digest; as long as the file stays
    as it is, others read their own bytes alone.

    Raises:
        ShardError: as `read_shard`.
    """
    with open_shard(path) as shard:
        return shard.slice(names, start, stop)


def read_attributes(path: Path) -> dict[str, str | int]:
    """The root attributes of a shard, without touching its rows.

    Raises:
        ShardError: as `read_shard`.
    """
    return healed(path, lambda: _read_attributes(path))


def _read_attributes(path: Path) -> dict[str, str | int]:
    with open_shard(path) as shard:
        return {**shard.described, "content_digest": shard.attributes["content_digest"]}


@contextmanager
def open_shard(path: Path, dimensions: Dimensions = Dimensions()) -> Iterator[ShardColumns]:
    """A shard to read from, its attributes and the shapes of its columns checked.

    Raises:
        ShardError: as `read_shard`, in the block too.
    """
    with hdf5.reading(path) as file:
        attributes = hdf5.read_attributes(file)
        version = attributes.get("format_version", "none")
        if version == FORMAT_VERSION:
            if attributes.get("content_digest") != attributes_digest(attributes):
                raise ShardError(f"{path}: content does not match its digest; {REBUILD}")
            yield ShardColumns(path, file, attributes, dimensions)
        elif version == 1:
            yield Version1Columns(path, file, attributes, dimensions)
        else:
            raise ShardError(f"{path}: format version {version}, this huse reads 1 and {FORMAT_VERSION}")


def attributes_digest(attributes: Attributes) -> str:
    """Hexadecimal SHA-256 over all root attributes but ``content_digest``; the columns' digests are among them."""
    digest = hashlib.sha256()
    for key in sorted(attributes):
        if key != "content_digest":
            digest.update(f"{key}={attributes[key]}\n".encode())
    return digest.hexdigest()


def _failure_columns(failures: Sequence[Failure]) -> Iterator[NDArray[np.object_]]:
    """What failures say, in the order of `FAILURE_STRINGS`."""
    for values in ([f.key for f in failures], [f.stage for f in failures], [f.reason for f in failures]):
        yield np.array(values, dtype=object)


def _require_finite(vectors: NDArray[Any], rows: Rows, name: str, path: Path) -> None:
    if not is_finite(vectors):
        key = rows.key[int(np.argmin(np.isfinite(vectors).all(axis=1)))]
        raise ShardError(
            f"{path}: {name} vector of key {key!r} is not finite as {vectors.dtype}; use dtype='float32' (--dtype)"
        )


def _require_keys(rows: Rows, path: Path) -> None:
    for key in rows.key:
        try:
            key.encode()
        except UnicodeEncodeError as error:
            raise ShardError(f"{path}: key {key!r} holds half a character (a lone surrogate); mend that row") from error
