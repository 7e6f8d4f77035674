"""What the images of a shard looked like when they were read, in a file beside it: losing it costs reading, never rows.

A look is (size in bytes, modification time in ns) of a file, or 16 bytes of a digest of what a store or the web calls
the content of a URL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import ShardError
from huse.features.shards import hdf5
from huse.features.shards.names import looks_name
from huse.features.shards.shard import read_attributes

UNKNOWN, HELD = (0, 0), (-1, -1)
"""The looks of an image that nothing is known of, and of one that lies in the manifest itself."""

LOOK, FORMAT_VERSION = "look", 1

Values = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Looks:
    """The looks of the n rows of a shard.

    Attributes:
        values: (n, 2) a look each, that of the image which the row's vector is of.
        shard: content digest of the shard; other shards have other rows.
        manifest: digest of the manifest that the shard was brought to last; empty when that is not known.
        plan: digest of which rows of that manifest belong into which shard; likewise.
        folder: digest of where its relative locations start from; likewise.
    """

    values: Values
    shard: str = ""
    manifest: str = ""
    plan: str = ""
    folder: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Looks) and self.digest == other.digest

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of all of it."""
        said = (self.shard, self.manifest, self.plan, self.folder, self.values.shape)
        digest = hashlib.sha256("".join(f"{each}\n" for each in said).encode())
        digest.update(np.ascontiguousarray(self.values, "<i8").data)
        return digest.hexdigest()


NO_LOOKS: Mapping[int, Looks] = {}


def no_looks(n: int) -> Values:
    """(n, 2) of n images that nothing is known of."""
    return np.zeros((n, 2), np.int64)


def looks_path(shard: Path) -> Path:
    """The file of the looks of a shard's rows."""
    return shard.with_name(looks_name(shard.name))


def looks_files(
    looks: Mapping[int, Looks], digests: Mapping[int, str], path: Callable[[int], Path]
) -> dict[Path, bytes]:
    """The files of the looks of some shards.

    Args:
        looks: by number of the shard.
        digests: the content digests of those among them that are written anew.
        path: the file of a shard.
    """
    tied = ((number, replace(its, shard=digests.get(number, its.shard))) for number, its in looks.items())
    return {looks_path(path(number)): looks_bytes(its) for number, its in tied}


def looks_bytes(looks: Looks) -> bytes:
    """The file that `read_looks` reads."""
    attributes: dict[str, str | int] = {
        "format_version": FORMAT_VERSION,
        "shard": looks.shard,
        "manifest": looks.manifest,
    }
    attributes |= {"plan": looks.plan, "folder": looks.folder, "digest": looks.digest}
    return hdf5.file_image({LOOK: looks.values.astype("<i8", copy=False)}, attributes, {})


def read_looks(shard: Path) -> Looks:
    """The looks of the rows of a shard; unknown ones when there are none, or damaged ones, or those of other rows.

    Raises:
        ShardError: the shard itself is damaged.
    """
    attributes = read_attributes(shard)
    rows, digest = int(attributes["rows"]), str(attributes["content_digest"])
    try:
        with hdf5.reading(looks_path(shard)) as file:
            stored = hdf5.read_attributes(file)
            values = hdf5.Dataset(file, LOOK).read()
    except ShardError:
        return Looks(no_looks(rows), digest)
    looks = Looks(values, digest, *(str(stored.get(name)) for name in ("manifest", "plan", "folder")))
    whole = values.shape == (rows, 2) and values.dtype.str == "<i8" and stored.get("digest") == looks.digest
    return looks if whole else Looks(no_looks(rows), digest)
