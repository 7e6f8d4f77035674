"""The bytes of an image, from a file or a URL."""

from __future__ import annotations

import errno
from pathlib import Path

from huse.extract.images.decoding import ImageError, reason_of
from huse.extract.images.tar_members import read_member
from huse.features.errors import HuseError
from huse.features.extras import require
from huse.features.files.place import is_url


def read_image(location: str | Path, named: str = "") -> bytes:
    """The bytes of an image.

    Args:
        location: a path, or a URL of any scheme that fsspec knows; of a file in a tar, ``images.tar/a/0001.jpg``.
        named: what messages call it; the location by default.

    Raises:
        ImageError: the image is missing, unreadable, empty, or no regular file; or a URL, and fsspec is missing.
    """
    shown = (named or str(location)).encode(errors="backslashreplace").decode()  # a reason is kept, and is UTF-8
    try:
        data = _fetch(str(location)) if is_url(str(location)) else _read(Path(location))
    except ImageError as error:
        raise ImageError(f"{error}: {shown}") from error
    except OSError as error:
        raise ImageError(f"{error.strerror or error}: {shown}") from error
    except (ValueError, MemoryError) as error:
        raise ImageError(f"cannot be read ({reason_of(error)}): {shown}") from error
    if not data:
        raise ImageError(f"empty file: {shown}")
    return data


def _read(path: Path) -> bytes:
    if path.is_fifo() or path.is_socket() or path.is_char_device():
        raise OSError(errno.EINVAL, "not a regular file")  # reading it might never end
    try:
        return path.read_bytes()
    except NotADirectoryError:
        if (data := read_member(str(path))) is None:
            raise
        return data


def _fetch(url: str) -> bytes:
    try:
        fsspec = require("fsspec", "remote", "an image by URL")
        from huse.features.files.remote import told, whole_object

        if (data := read_member(url)) is not None:
            return data
        store, name = fsspec.core.url_to_fs(url)
        with told(url):
            return whole_object(store, name)
    except (OSError, ImageError):
        raise
    except Exception as error:
        named = "" if isinstance(error, HuseError) else f"{type(error).__name__}: "
        raise ImageError(f"{named}{reason_of(error)}") from error
