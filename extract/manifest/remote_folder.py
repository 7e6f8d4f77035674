"""The images below a folder of objects: one listing, in the order in which a folder of this machine is walked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from huse.extract.manifest.image_names import image_suffixes, is_hidden, is_of_set, leave_out
from huse.features.files.put import objects_below

Parts = tuple[str, ...]

HUB = "hf://datasets/"
"""Whose repositories have images in their descriptions, too."""


@dataclass
class RemoteWalk:
    """The images below a folder, and how many of what else there were."""

    folder: Path
    left_out: Counter[str] = field(default_factory=Counter)
    tables: list[str] = field(default_factory=list)

    @cached_property
    def _names(self) -> list[Parts]:
        """All objects, those of a folder before those of its sub-folders."""
        names = (tuple(name.split("/")) for name in objects_below(self.folder) if not name.endswith("/"))
        return sorted(names, key=lambda parts: [*((1, part) for part in parts[:-1]), (0, parts[-1])])

    def topmost(self) -> list[str]:
        """The names of the sub-folders that are not hidden."""
        return sorted({parts[0] for parts in self._names if len(parts) > 1 and not is_hidden(parts[0])})

    def holds_images(self, name: str) -> bool:
        """Whether there is an image below a sub-folder."""
        return any(parts[0] == name and len(parts) > 1 and _is_image(parts) for parts in self._names)

    def tables_alone(self) -> list[str]:
        """The tables that come in several files, where there are no images; of a data set on the hub, whatever else."""
        shown = [parts for parts in self._names if not any(map(is_hidden, parts))]
        if not str(self.folder).startswith(HUB) and any(map(_is_image, shown)):
            return []
        return ["/".join(parts) for parts in shown if is_of_set(parts[-1])]

    def images(self) -> Iterator[Parts]:
        """The path of every image, as its parts."""
        hidden = set()
        for parts in self._names:
            if any(map(is_hidden, parts[:-1])):
                hidden.add(parts[: 1 + [is_hidden(part) for part in parts].index(True)])
            elif is_hidden(parts[-1]):
                self.left_out["hidden files"] += 1
            elif _is_image(parts):
                yield parts
            else:
                leave_out(parts, self.left_out, self.tables)
        if hidden:
            self.left_out["hidden or system folders"] = len(hidden)


def _is_image(parts: Parts) -> bool:
    return not any(map(is_hidden, parts)) and PurePosixPath(parts[-1]).suffix.lower() in image_suffixes()
