"""Stage 1 from end to end: a manifest is planned, its shards are filled one after the other and written behind."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.extract.devices import CPU_BATCH, batch_size_here
from huse.extract.encoders import FittedEncoder, State, TextEncoder, image_encoder, text_encoder
from huse.extract.encoders.registry import with_salient_tokens
from huse.extract.images import allow_pixels
from huse.extract.job import Encoders, ExtractConfig, ExtractSummary, ShardJob
from huse.extract.manifest import Columns, Manifest, class_texts, key_digests, read_manifest
from huse.extract.plan import part_of, plan_shards
from huse.features.errors import ExtractionError, ShardError, StoreError
from huse.features.store import FEATURES, ClassVectors, Store, StoreInfo, read_encoder_state, remove_store
from huse.features.write_behind import WriteBehind

FEW_FAILURES = 10
"""The default failure rate is not judged below this many failures: a handful is never a rate."""


def extract_features(
    manifest: str | Path,
    store: str | Path,
    config: ExtractConfig = ExtractConfig(),
    columns: Columns = Columns(),
    overwrite: bool = False,
    text_state: State = None,
) -> ExtractSummary:
    """Runs the frozen encoders over a manifest and caches their vectors: `huse extract`.

    A store that is there is brought to the manifest: stored rows whose picture and text are unchanged are kept, the
    others are encoded, rows no longer in the manifest are dropped.

    Args:
        manifest: a table or a folder of pictures, see `read_manifest`.
        store: folder of the store, made if it is not there.
        config: encoders, shards and arithmetic.
        columns: names of the manifest's columns.
        overwrite: remove a store that is there, and begin anew; not for one part of several.
        text_state: what a fitted text encoder has learned; by default what the store has, else it learns now.

    Returns:
        What was done and what failed.

    Raises:
        ManifestError: the manifest cannot be right as a whole.
        FingerprintError: the store there was made by other encoders.
        ExtractionError: every row failed, or more than the allowed share; the store is complete all the same. Or one
            row failed, where that stops the run.
        StoreError: the folder is not a store, or has other values than `config`; or there is no such part.
    """
    start = time.perf_counter()
    _require_part(*config.part, overwrite)
    rows = read_manifest(manifest, columns)
    texts_of_classes = class_texts(rows.labels, config.class_text)
    allow_pixels(config.max_pixels)
    if overwrite:
        remove_store(store)
    known = read_encoder_state(Path(store))
    encoders = _encoders(rows, config, known if text_state is None else text_state)
    target = Store.create(
        store,
        StoreInfo(
            kind=FEATURES,
            image=encoders.image.spec if encoders.image else None,
            text=encoders.text.spec if encoders.text else None,
            shard_size=config.shard_size,
            dtype=config.dtype,
            compression=config.compression,
        ),
    )
    if config.part[0] == 1:  # what belongs to the store as a whole has one writer
        if isinstance(encoders.text, FittedEncoder) and encoders.text.state() != known:
            target.write_encoder_state(encoders.text.state())
        _write_classes(target, texts_of_classes, encoders.text or text_encoder(_text_name(config)))
    summary = ExtractSummary()
    _run_shards(rows, target, encoders, config, summary)
    summary.seconds = time.perf_counter() - start
    _judge_failures(summary, target, config)
    return summary


def _require_part(part: int, parts: int, overwrite: bool) -> None:
    if not 1 <= part <= parts:
        raise StoreError(f"there is no part {part}/{parts}; parts are 1/{parts} to {parts}/{parts}")
    if overwrite and parts > 1:
        raise StoreError("--overwrite would delete what the other parts have written; delete the store, then run all")


def _text_name(config: ExtractConfig) -> str:
    return with_salient_tokens(config.text_encoder, config.salient_tokens)


def _encoders(manifest: Manifest, config: ExtractConfig, state: State) -> Encoders:
    """The encoders that the manifest's columns need; one that learns does so from the texts that are not test rows."""
    image = image_encoder(config.image_encoder, config.image_weights, config.precision) if manifest.has_images else None
    text = text_encoder(_text_name(config), state) if manifest.has_texts else None
    if isinstance(text, FittedEncoder) and state is None:
        text.fit(row.text for row in manifest.iterate() if row.text and row.split in ("", "train"))
    return Encoders(image, text)


def _run_shards(
    manifest: Manifest, store: Store, encoders: Encoders, config: ExtractConfig, summary: ExtractSummary
) -> None:
    whole = plan_shards(manifest.digests, _stored_keys(store), config.shard_size)
    store.write_plan(len(whole))
    plan = part_of(whole, *config.part)
    summary.rows = sum(map(len, plan.values()))
    config = replace(config, batch_size=_batch_size(encoders, config.batch_size))
    workers = config.workers or 2 * (os.cpu_count() or 1)
    with (
        ThreadPoolExecutor(workers, "huse-read") as readers,
        WriteBehind(store) as behind,
        tqdm(total=summary.rows, desc="extract", unit="row", disable=None) as bar,
    ):
        for index, positions in plan.items():
            previous = store.read_or_none(index)
            shard = ShardJob(manifest, manifest.rows(positions), previous, encoders, config, summary)
            rows = shard.run(readers, bar)
            summary.add_failures(rows.failures)
            if previous is not None and rows.holds_the_same_as(previous):
                continue
            behind.write(index, rows)
            summary.shards_written += 1
    summary.seconds_write = behind.seconds


def _batch_size(encoders: Encoders, wanted: int) -> int:
    """Pictures a batch: as wanted, or as the devices like, and a multiple of what the encoder takes at a time."""
    if encoders.image is None:
        return wanted or CPU_BATCH  # texts alone load no TensorFlow
    block: int = getattr(encoders.image, "block", 1)
    return -(-(wanted or batch_size_here()) // block) * block


def _write_classes(store: Store, texts: dict[str, str], encoder: TextEncoder) -> None:
    existing = store.read_classes()
    labels = sorted(texts)
    wanted = [texts[label] for label in labels]
    if not labels or (existing is not None and (existing.labels, existing.texts) == (labels, wanted)):
        return
    store.write_classes(ClassVectors(labels, wanted, encoder.encode(wanted), str(encoder.spec)))


def _stored_keys(store: Store) -> dict[int, NDArray[np.bytes_]]:
    keys: dict[int, NDArray[np.bytes_]] = {}
    for index in store.shard_indices():
        try:
            keys[index] = key_digests(store.keys(index))
        except ShardError:  # a damaged shard holds nothing: its rows are planned anew, into its place
            keys[index] = key_digests([])
    return keys


def _judge_failures(summary: ExtractSummary, store: Store, config: ExtractConfig) -> None:
    failed = summary.failed
    if not failed:
        return
    see = f"huse store failures {store.path} lists them"
    if failed == summary.rows and not any(rows.has_text.any() or rows.has_image.any() for rows in store):
        raise ExtractionError(f"all {failed} rows failed, the first with: {summary.failures[0].reason}; {see}", summary)
    allowed = config.max_failure_rate
    if allowed is None:
        allowed = 0.1 if failed >= FEW_FAILURES else 1.0
    if failed > allowed * summary.rows:
        raise ExtractionError(
            f"{failed} of {summary.rows} rows failed, more than --max-failure-rate {allowed:g}; {see}", summary
        )
