"""The files that a manifest may consist of, those of a folder or a pattern, and the splits that their names say."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path, PurePosixPath

from huse.extract.manifest.folder import Walk
from huse.extract.manifest.image_names import SETS
from huse.extract.manifest.notices import notify
from huse.extract.manifest.remote_folder import HUB
from huse.features.errors import ManifestError
from huse.features.files.place import as_remote, is_remote, place
from huse.features.splits import split_of

BRACES = re.compile(r"\{([^{}]*(?:\.\.|,)[^{}]*)\}")
"""``{00000..00012}`` or ``{a,b}``."""

RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)")
GLOB = re.compile(r"[*?\[]")
PATTERN = re.compile(rf"{BRACES.pattern}|{GLOB.pattern}")
"""What makes a name stand for several."""

NUMBERED = re.compile(r"[0-9]{5}-of-[0-9]{5}")
"""What is in the name of a file that is one of several, as of a data set's split."""


def is_pattern(path: Path) -> bool:
    """Whether a place stands for several files by ``*``, ``?``, ``[...]`` or ``{...}``, and is not called so itself."""
    name = str(path)
    listed = not name.lower().startswith(("http://", "https://"))  # the web is not listed, and a ? has a meaning there
    return bool(BRACES.search(name) or (listed and GLOB.search(name))) and not path.exists()


def folder_of(path: Path) -> Path:
    """What relative names in a manifest start from: a folder itself, or that of a file or a pattern."""
    if not is_pattern(path):
        return path if path.is_dir() else path.parent
    before, *_ = PATTERN.split(str(path), maxsplit=1)
    start = before.rpartition("/")[0]
    return place(start or ("/" if before.startswith("/") else "."))


def files_of(path: Path, walk: Walk | None) -> list[Path]:
    """The files of a folder of tables or of a pattern, in order; none of a file, or of a folder of images.

    Args:
        path: the place.
        walk: what is below it, if it is a folder.

    Raises:
        ManifestError: a pattern fits nothing, or a folder holds several kinds of tables, or several data sets.
        OSError: it cannot be listed.
    """
    if is_pattern(path):
        found = list(dict.fromkeys(file for name in _expanded(str(path)) for file in _fitting(name)))
        if not found:
            raise ManifestError(f"{path}: fits no file; see that the pattern is in quotes, and what the folder holds")
        return found
    if walk is None:
        return [path] if NUMBERED.search(path.name) else []
    tables = walk.tables_alone()
    kinds = sorted({kind for kind in SETS for name in tables if name.lower().endswith(kind)})
    if len(kinds) > 1:
        raise ManifestError(f"{path}: holds {' and '.join(kinds)} files; name those of one kind, as {path}/*{kinds[0]}")
    if str(path).startswith(HUB):
        _require_one_set(path, tables)
    return [path / name for name in tables]


def name_in(file: Path, folder: Path) -> str:
    """The name of a file as it is written from a folder on."""
    return str(file).removeprefix(f"{str(folder).rstrip('/')}/")


def splits_of(names: Sequence[str]) -> list[str]:
    """The split of each file by its name, or that of a folder that it is in; all empty unless all have one."""
    splits = [_split_of(PurePosixPath(name)) for name in names]
    if all(splits):
        return splits
    if any(splits):
        notify(f"names of files are taken for no splits, since {names[splits.index('')]} says none")
    return [""] * len(splits)


def _split_of(name: PurePosixPath) -> str:
    words = {split_of(word) for word in re.split(r"[\W_\d]+", name.stem) if word} - {None}
    if len(words) == 1:
        return words.pop() or ""
    return next((split for part in reversed(name.parts[:-1]) if (split := split_of(part))), "")


def _expanded(name: str) -> Iterator[str]:
    """The names that a pattern of braces stands for."""
    pieces = BRACES.split(name)
    choices = [[piece] if i % 2 == 0 else _choices(piece) for i, piece in enumerate(pieces)]
    return ("".join(chosen) for chosen in product(*choices))


def _choices(inside: str) -> list[str]:
    if (found := RANGE.fullmatch(inside)) is None:
        return inside.split(",")
    first, last = found.groups()
    width = len(first) if first.startswith("0") else 0
    return [f"{number:0{width}d}" for number in range(int(first), int(last) + 1)]


def _fitting(name: str) -> list[Path]:
    """The files that a pattern without braces fits; a name that is none stands for itself."""
    path = place(name)
    if not GLOB.search(name) or path.exists():
        return [path]
    if not is_remote(path):
        names = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - that of Path takes hidden files, too
        return [Path(found) for found in names if Path(found).is_file()]
    from huse.features.files.remote import told

    with told(path):
        found = as_remote(path).fs.glob(as_remote(path).path)
    scheme = name.partition("://")[0]
    return [place(f"{scheme}://{each.strip('/')}") for each in sorted(found)]


def _require_one_set(path: Path, tables: list[str]) -> None:
    """Refuses a repository of several data sets, each in a folder of its own."""
    folders = {tuple(part for part in name.split("/")[:-1] if not split_of(part)) for name in tables}
    if len(folders) > 1:
        there = sorted("/".join(parts) or "." for parts in folders)
        raise ManifestError(f"{path}: holds several data sets, {', '.join(there)}; name one, as {path}/{there[-1]}")
