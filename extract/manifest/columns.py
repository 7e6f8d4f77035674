"""What the columns of a manifest are called."""

from __future__ import annotations

from dataclasses import dataclass

from huse.features.modality import MODALITIES

COLUMNS = (*MODALITIES, "label", "split", "key")


@dataclass(frozen=True)
class Columns:
    """The names of the manifest's columns, and how its labels are written.

    Attributes:
        label_separator: what stands between the levels of a label, such as ``/``, ``>`` or ``::``; empty when labels
            have no levels. Labels of folders always have ``/``.
    """

    image: str = "image"
    text: str = "text"
    label: str = "label"
    split: str = "split"
    key: str = "key"
    label_separator: str = "/"

    @property
    def names(self) -> dict[str, str]:
        """The name of each of `COLUMNS`."""
        its = (self.image, self.text, self.label, self.split, self.key)
        return dict(zip(COLUMNS, its, strict=True))
