"""A store is deleted: its own files alone, and nothing when something else lies among them."""

from __future__ import annotations

from pathlib import Path

from huse.features.errors import StoreError
from huse.features.files.atomic import is_own_trace
from huse.features.files.place import place
from huse.features.info import STORE_FILE
from huse.features.store import Store


def remove_store(path: str | Path) -> None:
    """Deletes a store, its own files alone; errors as `removable_files`."""
    # store.json goes last: as long as anything is left, the folder is known as a store
    for file in removable_files(path):
        file.unlink(missing_ok=True)


def removable_files(path: str | Path) -> list[Path]:
    """The files of a store that is to be deleted, store.json last; none when nothing is there.

    Raises:
        StoreError: the folder is there and holds no store, or something else too.
    """
    path = place(path)
    if not path.exists() or (path.is_dir() and all(is_own_trace(entry.name) for entry in path.iterdir())):
        return []
    store = Store.open(path)
    files = [entry for entry in path.iterdir() if store.is_own(entry) and entry.name != STORE_FILE]
    others = sorted(entry.name for entry in set(path.iterdir()) - {*files, path / STORE_FILE})
    if others:
        raise StoreError(f"{path}: holds {others[0]!r} too, which is no part of a store; move it away")
    return [*files, path / STORE_FILE]
