"""The vectors of the emoji as `huse demo` makes them, from scripts/record_demo.py: encoding them takes minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from samples import read_csv

from huse.extract.config import ExtractConfig
from huse.extract.encoders import image_encoder, text_encoder
from huse.features.info import FEATURES, StoreInfo
from huse.features.rows import Rows
from huse.features.store import Store

RECORDED = Path(__file__).parent / "demo" / "recorded.npz"


def recorded_store(emoji: Path, keys: list[str], path: Path, left_out: slice = slice(0)) -> Store:
    """A store of some rows of the emoji's manifest as extraction leaves it, of which some were not encoded."""
    recorded, default = np.load(RECORDED), ExtractConfig()
    specs = image_encoder(default.image_encoder).spec, text_encoder(default.text_encoder).spec
    store = Store.create(path, StoreInfo(FEATURES, *specs, default.shard_size, default.dtype))
    rows = Rows.empty(len(keys), *(spec.dimension for spec in specs))
    rows.key[:] = keys
    places = {row["key"]: place for place, row in enumerate(read_csv(emoji))}
    at = [places[key] for key in keys]
    for modality, its in rows.modalities.items():
        its.vectors[:], its.digest[:] = recorded[f"{modality}_vectors"][at], recorded[f"{modality}_digest"][at]
        its.present[:] = True
        for values in (its.vectors, its.digest, its.present):
            values[left_out] = 0
    store.write(0, rows)
    return store
