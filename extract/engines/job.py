"""What a worker of another machine is told once, and what comes with each shard.

Rows, and the bytes of images that lie in the manifest, travel: a manifest may be where only the driver sees it. The
store, and images by path, are read and written by the worker itself; no vector travels.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from huse.extract.config import ExtractConfig, ExtractSummary
from huse.extract.encoders.arithmetic import Arithmetic
from huse.extract.encoders.protocol import State
from huse.extract.encoders.registry import whole_name
from huse.extract.images.decoders import Decoders
from huse.extract.images.decoding import allow_pixels
from huse.extract.manifest.plan import Positions
from huse.extract.manifest.rows import Manifest
from huse.extract.manifest.spool import ManifestRow, Spool
from huse.extract.pipeline import fill_shards
from huse.extract.run_encoders import Choice, Encoders, choose_encoders
from huse.features.encoder_spec import require_same
from huse.features.files.place import real_path
from huse.features.info import FEATURES
from huse.features.store import Store

SAME = "install the same huse, and put the same weights, on all nodes"
"""What to do where two nodes make other vectors."""


@dataclass(frozen=True)
class Shard:
    """A shard to fill.

    Attributes:
        number: of the shard.
        rows: what it is to hold.
        images: bytes of images that lie in the manifest, by `ManifestRow.held`.
        plan_digest: of the plan of all shards.
    """

    number: int
    rows: list[ManifestRow]
    images: dict[int, bytes]
    plan_digest: str

    @classmethod
    def of(cls, manifest: Manifest, number: int, positions: Positions, plan_digest: str) -> Shard:
        """The rows at some positions of a manifest."""
        rows = manifest.rows(positions)
        return cls(number, rows, {row.held: manifest.image_bytes(row) for row in rows if row.held}, plan_digest)


@dataclass(frozen=True)
class FillJob:
    """How shards of a store are filled, wherever that is.

    Attributes:
        store: folder of the store, as every worker sees it.
        manifest: the fields of the manifest but for its rows and what is known of all of them.
        config: encoders by name, limits.
        choice: encoders that were handed in.
        state: what the text encoder has learned.
        agreed: how images are encoded.
    """

    store: Path
    manifest: dict[str, Any]
    config: ExtractConfig
    choice: Choice
    state: State
    agreed: Arithmetic

    @classmethod
    def of(
        cls, store: Path, manifest: Manifest, config: ExtractConfig, choice: Choice, state: State, agreed: Arithmetic
    ) -> FillJob:
        """A job for some rows of a manifest at a time; workers have folders of their own, so paths go whole.

        `config` has the names that `choice` has.
        """
        rows = {"digests", "labels", "spool"}
        head = {name: value for name, value in vars(manifest).items() if name not in rows}
        head["folder"] = real_path(manifest.folder)
        if config.image_weights is not None:
            config = replace(config, image_weights=real_path(config.image_weights))
        if manifest.has_images and isinstance(choice.image, str | None):
            config = replace(config, image_encoder=whole_name(config.image_encoder))
        if manifest.has_texts and isinstance(choice.text, str | None):
            config = replace(config, text_encoder=whole_name(config.text_encoder))
        return cls(store, head, config, choice.objects(), state, agreed)

    def begin(self, cpus: int) -> Callable[[Shard], ExtractSummary]:
        """Makes the encoders, with so many processors; returns what fills a shard.

        Raises:
            EncoderError: one cannot be made here.
            FingerprintError: one is another here than where the store was begun.
        """
        allow_pixels(self.config.max_pixels)
        store = Store.open(self.store, FEATURES)
        encoders = choose_encoders(self._manifest([], {}), self.config, self.choice, self.state, self.agreed)
        for modality, encoder in (("image", encoders.image), ("text", encoders.text)):
            where = f"{modality}: the store and node {platform.node()}"
            require_same(store.info.specs.of(modality), None if encoder is None else encoder.spec, where, SAME)
        size = encoders.batch_size(self.config.batch_size)
        here = replace(self.config, engine="local", batch_size=size, workers=2 * cpus)
        return partial(self._fill, store, encoders, here, Decoders.beside(here.threads))  # which end with this process

    def _fill(
        self, store: Store, encoders: Encoders, config: ExtractConfig, decoders: Decoders, shard: Shard
    ) -> ExtractSummary:
        plan = {shard.number: np.arange(len(shard.rows))}
        manifest = self._manifest(shard.rows, shard.images)
        return fill_shards(plan, manifest, store, encoders, config, lambda: None, decoders, shard.plan_digest)

    def _manifest(self, rows: list[ManifestRow], images: dict[int, bytes]) -> Manifest:
        spool = Spool()
        held = {number: spool.hold(data) for number, data in images.items()}
        spool.append((0, replace(row, held=held.get(row.held, 0))) for row in rows)
        return Manifest(**self.manifest, digests=np.zeros(len(rows), "S16"), labels=[], spool=spool)
