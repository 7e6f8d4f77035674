"""What a folder holds already that embeddings are to be written to."""

from __future__ import annotations

from pathlib import Path

from huse.embed.prefix import of_one_model
from huse.features.errors import FingerprintError, StoreError
from huse.features.files.atomic import is_own_trace
from huse.features.info import EMBEDDINGS, STORE_FILE, StoreInfo
from huse.features.inspection import BESIDE
from huse.features.store import Store


def require_own(out: Path, info: StoreInfo, overwrite: bool) -> None:
    """Refuses a folder that the embeddings of this model cannot be written to.

    Args:
        out: the folder; need not be there.
        info: of the embeddings.
        overwrite: whether those of another model may be replaced.

    Raises:
        FingerprintError: it holds the embeddings of another model, and they are not to be replaced.
        StoreError: it holds something else, or embeddings of another type or length that are not to be replaced.
    """
    if not (out / STORE_FILE).exists():
        if out.exists() and not all(is_own_trace(entry.name) for entry in out.iterdir()):
            raise StoreError(f"{out}: exists and is not a huse store; name an empty or new folder")
        return
    there = Store.open(out, EMBEDDINGS)
    if not overwrite:
        _require_alike(out, there.info, info)
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in BESIDE and not there.is_own(entry))
    if overwrite and foreign:
        raise StoreError(f"{out}: holds {foreign[0]!r} too, which is no part of the embeddings; move it away")


def _require_alike(out: Path, there: StoreInfo, info: StoreInfo) -> None:
    """Refuses embeddings of another model, type or length than are to be made."""
    ways_out = "add overwrite=True (--overwrite) to embed all rows anew, or name another OUT"
    for modality, ours in info.specs.items():
        theirs = there.specs.of(modality)
        if not of_one_model(ours, theirs):
            raise FingerprintError(
                f"{out}: its {modality} embeddings are another model's, {theirs or 'none'}, this one makes "
                f"{ours or 'none'}; {ways_out}"
            )
    old, new = _vectors_of(there), _vectors_of(info)
    if old != new:
        raise StoreError(
            f"{out}: its vectors are of {old}, this run makes those of {new}; give dtype (--dtype) and dimension "
            f"(--dimension) as they were, {ways_out}"
        )


def _vectors_of(info: StoreInfo) -> str:
    return f"{info.dimension} dimensions as {info.dtype}"
