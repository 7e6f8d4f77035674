"""Objects of a store such as S3 as paths; whatever goes wrong on the way is an `OSError` that names the URL."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from inspect import signature
from pathlib import Path
from typing import Any, Self, cast

from huse.features.errors import ExtraError, PlaceError

try:
    from upath import UPath
    from upath.extensions import ProxyUPath
except ModuleNotFoundError as missing:
    raise ExtraError(f"URLs need {missing.name}: pip install 'huse[remote]'") from missing

LISTING = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf")
"""Stores whose listings fsspec would keep, so that what others write is not seen."""

AZURE = ("az", "abfs", "abfss")

BLOCK = 1 << 20
"""Bytes that are fetched at a time of a file that is opened, as for its first line."""

SEEN: dict[str, Path] = {}
"""The local copies of objects as this process has seen them, by URL; see `look_again`."""

NO_BUCKET = re.compile(r"bucket|container", re.IGNORECASE)
DENIED = re.compile(r"credential|denied|forbidden|unauthorized|access key|signature|token", re.IGNORECASE)
DENIED_CODES = (401, 403)
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Remote(ProxyUPath):
    """An object, or what several have in common at the start of their names, with the methods of `Path` in use here.

    What is there is asked of the store each time. A folder without objects is no folder.
    """

    def exists(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002 - the signature of Path
        """Whether there is an object of this name, or one below it."""
        return self.kind() != ""

    def is_dir(self) -> bool:
        """Whether there are objects below this name."""
        return self.kind() == "directory"

    def is_file(self) -> bool:
        """Whether there is an object of this name."""
        return self.kind() == "file"

    def kind(self) -> str:
        """``file``, ``directory``, or nothing when nothing is there."""
        try:
            return str(self.described()["type"])
        except FileNotFoundError:
            return ""

    def described(self) -> dict[str, Any]:
        """What the store says of the object, at least its ``type`` and ``size``."""
        with told(self):
            found: dict[str, Any] = self.fs.info(self.path)
        return found

    def stat(self, *, follow_symlinks: bool = True) -> Any:
        """Size and times, as far as the store tells."""
        with told(self):
            return super().stat(follow_symlinks=follow_symlinks)

    def iterdir(self) -> Iterator[Self]:
        """The objects and folders right below; none where nothing is."""
        try:
            with told(self):
                names = self.fs.ls(self.path, detail=False)
        except FileNotFoundError:
            return
        for name in (name.strip("/") for name in names):
            last = name.rpartition("/")[2]
            if name != self.path.strip("/") and last not in ("", ".", ".."):  # keys may be called anything
                yield self / last

    def glob(self, pattern: str, **_: Any) -> Iterator[Self]:
        """Those right below whose names fit."""
        return (entry for entry in self.iterdir() if fnmatchcase(entry.name, pattern))

    def read_bytes(self) -> bytes:
        """The whole object, in one request."""
        with told(self):
            return whole_object(self.fs, self.path)

    def read_text(self, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> str:  # noqa: ARG002
        """The whole object as text."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def open(self, mode: str = "r", *args: Any, **settings: Any) -> Any:  # type: ignore[override]
        """The object to read from its start on, a block at a time."""
        with told(self):
            return super().open(mode, *args, **{"block_size": BLOCK, **settings})

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes the object."""
        try:
            with told(self):
                self.fs.rm_file(self.path)
        except FileNotFoundError:
            if not missing_ok:
                raise
        SEEN.pop(str(self), None)


def whole_object(store: Any, name: str) -> bytes:
    """The bytes of an object in one request: s3fs would ask for the size first, to fetch large ones in parts."""
    data: bytes = store.cat_file(name, **_at_once(store))
    return data


def _at_once(store: Any) -> dict[str, int]:
    fetch = getattr(store, "_cat_file", None)
    return {"max_concurrency": 1} if fetch and "max_concurrency" in signature(fetch).parameters else {}


def remote(given: Any) -> Remote:
    """The place of a URL, or of a `UPath` of the caller's.

    Raises:
        ExtraError: the package that reads URLs of this scheme is not installed.
        PlaceError: there is no such scheme, no name behind it, or there are no credentials where they are asked for at
            once.
    """
    if isinstance(given, Remote):
        return given
    try:
        found = Remote._from_upath(given) if isinstance(given, UPath) else _of_url(str(given))
        found.fs  # noqa: B018 - imports the package
    except ImportError as error:
        raise ExtraError(f"{given}: needs a package that is not installed; {_advice(str(given))}") from error
    except (ValueError, TypeError) as error:
        if DENIED.search(str(error)):  # adlfs asks for them at once
            raise PlaceError(f"{given}: cannot be reached ({error}); give credentials in the environment") from error
        raise PlaceError(f"{given}: is no URL ({error}); name one such as s3://BUCKET/KEY, or a path") from error
    return found


def _of_url(url: str) -> Remote:
    scheme, _, rest = url.partition("://")
    if not rest.strip("/"):
        raise ValueError(f"nothing is named behind {scheme}://")
    if scheme.lower() in AZURE and "@" in rest.partition("/")[0]:  # paths below would lose it
        raise ValueError("AZURE_STORAGE_ACCOUNT_NAME names the account, az://CONTAINER/PATH the rest")
    settings: dict[str, Any] = {"use_listings_cache": False} if scheme.lower() in LISTING else {}
    return Remote(f"{scheme.lower()}://{rest.rstrip('/')}", **settings)


def _advice(url: str) -> str:
    package = {"gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs", "hf": "'huse[hf]'"}
    return f"pip install {package.get(url.partition('://')[0].lower(), chr(39) + 'huse[remote]' + chr(39))}"


@contextmanager
def told(url: object) -> Iterator[None]:
    """Makes whatever a store of objects raises in the block an `OSError` with the URL, and what to look at."""
    try:
        yield
    except (KeyboardInterrupt, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and (error.filename == str(url) or error.errno in OF_THE_DISK):
            raise  # told already, or of this machine
        code, reason = _meaning(error)
        raise OSError(code, reason, str(url)) from error


def _meaning(error: Exception) -> tuple[int, str]:
    said = getattr(error, "strerror", None) or str(error)
    reason = " ".join(str(said).split()) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        if NO_BUCKET.search(reason) and "/" not in reason:
            return errno.ENXIO, f"{reason.rstrip('.')}; make it, or name another"
        return errno.ENOENT, "no such object"
    codes = (getattr(error, "code", None), getattr(error, "status", None), getattr(error, "status_code", None))
    denied = any(code in DENIED_CODES for code in codes) or DENIED.search(f"{type(error).__name__} {reason}")
    if isinstance(error, PermissionError) or denied:
        return errno.EACCES, f"{reason.rstrip('.')}; check the credentials in the environment, and what they allow"
    if isinstance(error, TimeoutError):
        return errno.ETIMEDOUT, f"no answer in time ({reason}); check the network, then run it again"
    if isinstance(error, IsADirectoryError | NotADirectoryError | FileExistsError):
        return error.errno or errno.EISDIR, reason
    return errno.EIO, f"cannot be reached ({type(error).__name__}: {reason}); check the network and the address"


def look_again(folder: Path) -> None:
    """Forgets what this process has seen of the objects at a place and below: the next read asks the store again."""
    cast(Remote, folder).fs.invalidate_cache()  # Hugging Face's keeps listings whatever it is told
    start = str(folder).rstrip("/")
    for url in [url for url in SEEN if url == start or url.startswith(f"{start}/")]:
        SEEN.pop(url, None)
