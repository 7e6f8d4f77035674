"""The local engine: this process fills all shards of its part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from huse.extract.config import ExtractConfig, ExtractSummary
from huse.extract.images.decoders import Decoders
from huse.extract.manifest.plan import Positions
from huse.extract.manifest.rows import Manifest
from huse.extract.pipeline import fill_shards
from huse.extract.run_encoders import Encoders
from huse.features.interrupt import interruptible
from huse.features.store import Store


def fill_here(
    manifest: Manifest,
    encoders: Encoders,
    config: ExtractConfig,
    plan: Mapping[int, Positions],
    plan_digest: str,
    store: Store,
) -> ExtractSummary:
    """Fills shards with all that this machine has; arguments and errors as `fill_shards`."""
    config = replace(config, batch_size=encoders.batch_size(config.batch_size))
    with interruptible() as check, Decoders.beside(config.threads) as decoders:
        return fill_shards(plan, manifest, store, encoders, config, check, decoders, plan_digest)
