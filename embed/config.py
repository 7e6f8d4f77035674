"""How embeddings are kept, whatever they are made of."""

from __future__ import annotations

from dataclasses import dataclass

from huse.features.codes import CODES, FLOATS
from huse.features.errors import StoreError
from huse.features.options import option, require_allowed


@dataclass(frozen=True)
class EmbedConfig:
    """Type and length of the embeddings that `huse embed` writes.

    Attributes:
        dtype: ``float16``, ``float32``, ``int8`` or ``binary``, see docs/formats.md; None for that of the features.
        dimension: how many of the first dimensions of each vector are kept, of unit length again; None for all.

    Raises:
        StoreError: a value is out of its range.
    """

    dtype: str | None = option(
        None, "Stored type of the embeddings.", choices=(*FLOATS, *CODES), shown="that of the features"
    )
    dimension: int | None = option(
        None, "Keep the first N dimensions, see nested (--nested) of huse fit.", least=1, metavar="N", shown="all"
    )

    def __post_init__(self) -> None:
        require_allowed(self, StoreError)
