"""Images that lie in a plain tar, read from there: ``images.tar/a/0001.jpg`` is the member ``a/0001.jpg``."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import IO, Self, cast

import numpy as np
from numpy.typing import NDArray

from huse.extract.images.decoding import ImageError
from huse.features.files.cache import local_copy
from huse.features.files.place import SCHEME, is_file, is_remote, is_url, place

END_OF_TAR = re.compile(r"\.tar(?=/)", re.IGNORECASE)
"""Where the name of a tar ends in the location of a member."""

ABOVE = re.compile(r"(?:\.?/)+")
"""What names of members may begin with, and is no part of them."""

CHUNK = 1 << 20
"""Bytes that are read at a time to see that nothing follows the end of a tar."""

INDICES = 32
"""Tars whose members are known at a time, 32 bytes a member."""

_indexing = Lock()


@dataclass(frozen=True)
class Member:
    """A file in a tar.

    Attributes:
        name: as UTF-8 can hold it; other bytes are written by their number.
        offset: of its first byte.
        size: in bytes.
        read: gives its bytes, before the next member is asked for.
    """

    name: str
    offset: int
    size: int
    read: Callable[[], bytes]


def members(file: IO[bytes], stream: bool = False) -> Iterator[Member]:
    """The regular files of a tar, in order; memory does not grow with their number.

    Args:
        file: at its start.
        stream: whether it can be read in order only.

    Raises:
        TarError: while reading: it is no tar, was cut off, is damaged, or more follows its end.
    """
    with tarfile.open(fileobj=file, mode="r|" if stream else "r:", tarinfo=_Header) as tar:
        while (found := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # where tarfile keeps all that it has seen
            if found.isreg() and not found.issparse():
                yield Member(_shown(found.name), found.offset_data, found.size, partial(_read, tar, found))
        _require_nothing_more(cast(IO[bytes], tar.fileobj))


def tar_of(location: str) -> str | None:
    """The tar that the location of an image leads into, if it does: a file of this machine, or what a URL says."""
    ends = (location[: found.end()] for found in END_OF_TAR.finditer(location))
    return next((tar for tar in ends if SCHEME.match(tar) or (not is_url(tar) and is_file(tar))), None)


def read_member(location: str) -> bytes | None:
    """The bytes of a member of a tar; None when the location leads into none.

    Raises:
        ImageError: the tar has no such member, or is damaged.
        OSError: the tar cannot be read.
    """
    tar = tar_of(location)
    if tar is None:
        return None
    there = place(tar)
    try:
        file = local_copy(there)
    except (FileNotFoundError, IsADirectoryError):  # a folder of objects may be called so
        return None
    status = file.stat()
    with _indexing:  # once, however many threads ask
        index = _index(str(file), status.st_size, 0 if is_remote(there) else status.st_mtime_ns)
    at = index.find(location[len(tar) + 1 :])
    if at is None:
        raise ImageError("no such file in the tar")
    with file.open("rb") as opened:
        opened.seek(at[0])
        return opened.read(at[1])


@dataclass(frozen=True, eq=False)
class _Index:
    """Where the members of a tar are: (n,) digests of their names, sorted, and (n, 2) their offsets and sizes."""

    names: NDArray[np.bytes_]
    places: NDArray[np.int64]

    def find(self, name: str) -> tuple[int, int] | None:
        """Offset and size of a member; of several of one name those of the last, as of ``tar -r``."""
        wanted = np.frombuffer(_digest(name), self.names.dtype)[0]
        at = int(np.searchsorted(self.names, wanted, side="right")) - 1
        if at < 0 or self.names[at] != wanted:
            return None
        offset, size = self.places[at].tolist()
        return offset, size


@lru_cache(maxsize=INDICES)
def _index(tar: str, _size: int, _changed: int) -> _Index:
    """The members of a tar, asked for again when it has changed.

    Raises:
        ImageError: it is none, or damaged.
    """
    names, places = bytearray(), array("q")
    try:
        with Path(tar).open("rb") as file:
            for member in members(file):
                names += _digest(member.name)
                places.extend((member.offset, member.size))
    except tarfile.TarError as error:
        raise ImageError(f"the tar is damaged, or none ({error})") from error
    digests = np.frombuffer(bytes(names), "S16")
    order = np.argsort(digests, kind="stable")
    return _Index(digests[order], np.frombuffer(places, np.int64).reshape(-1, 2)[order])


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return cast(IO[bytes], tar.extractfile(member)).read()


class _Header(tarfile.TarInfo):
    """What a tar has before each member, or the empty block that ends it, which tarfile takes anything else for too."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        """The next header.

        Raises:
            HeaderError: there is none; `TarFile.next` tells that of the first, and that the empty block is the end.
            ReadError: there is none after the first, nor the empty block.
        """
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            if tar.offset == 0:
                raise
            raise tarfile.ReadError(f"neither a file nor its end follows: {error}") from error


def _require_nothing_more(file: IO[bytes]) -> None:
    """Refuses other bytes than zeros behind the end of a tar, where it would lose the members of a second one."""
    while chunk := file.read(CHUNK):
        if chunk.count(0) < len(chunk):
            raise tarfile.ReadError("more follows its end, as of tars that were joined")


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _shown(name: str) -> str:
    whole = os.fsencode(name).decode("utf-8", "backslashreplace")
    return ABOVE.sub("", whole, count=1) if ABOVE.match(whole) else whole
