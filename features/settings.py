"""settings.toml: what a store, a model or embeddings were made with, in the words of the command that made them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from huse.features.errors import SettingsError
from huse.features.files.atomic import write_files
from huse.features.files.place import is_remote, place

SETTINGS_FILE = "settings.toml"


def settings_text(command: str, values: Mapping[str, Any], note: str = "") -> str:
    """The text of settings.toml: a table of the command's name, with its options.

    Args:
        command: ``extract``, ``fit`` or ``embed``.
        values: by the names of options with underscores; those that are None say nothing and are left out.
        note: what else is to be known, a line.
    """
    said = {name: _plain(value) for name, value in values.items() if value is not None}
    table = {name: value for name, value in said.items() if _can_be_written(value)}
    head = [f"What made this; huse {command} takes it by its option config, to do the same again."]
    if len(table) < len(said):
        head.append(f"Not in UTF-8, so to be given again: {', '.join(name for name in said if name not in table)}.")
    lines = "".join(f"# {line}\n" for line in (*head, note) if line)
    return lines + "\n" + tomli_w.dumps({command: table})


def keep_settings(folder: Path, text: str) -> None:
    """Keeps settings in a folder; the same ones are not written again. An `OSError` is the disk's."""
    file = folder / SETTINGS_FILE
    with suppress(FileNotFoundError):
        if file.read_bytes() == text.encode():
            return
    write_files({file: text.encode()})


def read_settings(file: Path) -> dict[str, Any]:
    """All that a file of settings says.

    Raises:
        SettingsError: it is not TOML.
    """
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{file}: is not TOML in UTF-8 ({error}); write lines such as shard_size = 1000") from error


def check_settings(file: Path) -> None:
    """Reads what is kept, if it is; errors as `read_settings`."""
    if file.exists():
        read_settings(file)


def whole_place(given: str | Path) -> str:
    """A path from the root on, so that it holds in every folder; a URL as it is."""
    path = place(given)
    return str(path if is_remote(path) else path.absolute())


def _plain(value: Any) -> Any:
    """A value as TOML has it; searches for hyperparameters hand in NumPy's."""
    return value.item() if isinstance(value, np.generic) else str(value) if isinstance(value, Path) else value


def _can_be_written(value: Any) -> bool:
    """Whether a value has a form in UTF-8, which paths need not have."""
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True
