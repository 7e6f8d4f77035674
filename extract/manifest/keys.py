"""Keys of rows that have none: the content, so that a row keeps its key wherever it stands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from huse.extract.manifest.spool import Spool

KEY_DIGEST_BYTES = 16
CONTENT_BYTES = 8

GIVEN, PATH, NUMBERED = range(3)
"""Keys that must be unique, names of images in a table, which give way to content, and keys that may be numbered."""


def key_digest(key: str) -> bytes:
    """What stands for a key where there are millions of them; no two keys share one."""
    return hashlib.blake2b(key.encode(), digest_size=KEY_DIGEST_BYTES).digest()


def key_digests(keys: Iterable[str]) -> NDArray[np.bytes_]:
    """(n,) digests of n keys."""
    return np.frombuffer(b"".join(map(key_digest, keys)), f"S{KEY_DIGEST_BYTES}")


def content_key(content: str | bytes) -> str:
    """The key of a text, or of an image's bytes."""
    kind, data = ("text", content.encode()) if isinstance(content, str) else ("image", content)
    return f"{kind}-{hashlib.blake2b(data, digest_size=CONTENT_BYTES).hexdigest()}"


def make_unique(spool: Spool, digests: NDArray[np.bytes_], origins: NDArray[np.uint8]) -> None:
    """Gives new keys to rows that share one, as far as theirs was not given: in the spool and among the digests.

    Images whose names are not unique are named by their bytes; rows of equal content are numbered among themselves.
    """

    def rename(position: int, key: str) -> None:
        spool.rename(position, key)
        digests[position] = key_digest(key)

    if (origins == PATH).any():
        for group in equal_groups(digests):
            for position in group[origins[group] == PATH]:
                rename(position, content_key(spool.image_bytes(spool.take([position])[0])))
                origins[position] = NUMBERED
    if (origins == NUMBERED).any():
        for group in equal_groups(digests):
            first_given = group[np.argsort(origins[group] != GIVEN, kind="stable")]
            for number, position in enumerate(first_given[1:], start=2):
                if origins[position] == NUMBERED:
                    rename(position, f"{spool.take([position])[0].key}#{number}")


def equal_groups(digests: NDArray[np.bytes_]) -> Iterator[NDArray[np.intp]]:
    """The positions, in order, of each value that stands more than once; those that stand first come first."""
    order = np.argsort(digests, kind="stable")
    ordered = digests[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.append(starts[1:], len(order))
    several = np.flatnonzero(ends - starts > 1)
    for i in several[np.argsort(order[starts[several]])]:
        yield order[starts[i] : ends[i]]
