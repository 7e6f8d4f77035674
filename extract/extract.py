"""Stage 1 from end to end: a manifest is planned, and its shards are filled.

All that can be refused is refused by `prepare_extraction`, which touches nothing; `Extraction.run` then writes.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huse.extract.class_names import class_texts, write_class_names
from huse.extract.config import ACT_ON, ExtractConfig, ExtractSummary
from huse.extract.encoders import FittedEncoder, ImageEncoder, State, TextEncoder
from huse.extract.engines.cluster import connected
from huse.extract.engines.local import fill_here
from huse.extract.engines.ray import Fill, filling_by_ray
from huse.extract.images.decoding import allow_pixels
from huse.extract.manifest.frame import Frame
from huse.extract.manifest.keys import key_digests
from huse.extract.manifest.plan import Positions, digest_of_plan, part_of, plan_shards
from huse.extract.manifest.rows import Columns, Manifest, read_manifest
from huse.extract.run_encoders import Choice, Encoders, choose_encoders
from huse.extract.second_look import if_unchanged
from huse.extract.settings import extract_settings
from huse.features.companions import read_encoder_state, write_encoder_state
from huse.features.errors import ExtractionError, ShardError, StoreError, UnreadableError
from huse.features.files.atomic import is_own_trace
from huse.features.files.folders import require_folder_name, require_place
from huse.features.files.lock import locked
from huse.features.files.place import place, real_path
from huse.features.info import FEATURES, STORE_FILE, StoreInfo
from huse.features.removal import removable_files, remove_store
from huse.features.settings import keep_settings
from huse.features.store import Store
from huse.features.unused import tell_unused


def extract_features(
    manifest: str | Path | Frame,
    store: str | Path,
    config: ExtractConfig = ExtractConfig(),
    columns: Columns = Columns(),
    overwrite: bool = False,
    *,
    image_encoder: str | ImageEncoder | None = None,
    text_encoder: str | TextEncoder | None = None,
    class_encoder: str | TextEncoder | None = None,
) -> ExtractSummary:
    """Runs the frozen encoders over a manifest and caches their vectors: `huse extract`.

    A store that is there is brought to the manifest: stored rows whose image and text are unchanged are kept, the
    others are encoded, rows no longer in the manifest are dropped. A stored vector gives way to a newer one only: when
    its image cannot be read or decoded any more, the row keeps it and has a failure that says so.

    Args:
        manifest: a table, by file or in memory (pandas, polars, Arrow, ...), or a folder of images; see
            docs/manifest.md. Of a table in memory, relative paths of images start from the working folder.
        store: folder of the store, made if it is not there.
        config: encoders, shards and arithmetic.
        columns: names of the manifest's columns.
        overwrite: remove a store that is there, and begin anew; not for one part of several. It goes when all that can
            be refused has been checked, and the encoders work.
        image_encoder: a name or an encoder, in place of the one that `config` names; see docs/encoders.md.
        text_encoder: likewise; one that learns and has not yet does so from the texts of split train or none.
        class_encoder: likewise, of the class names.

    Returns:
        What was done and what failed.

    Raises:
        ManifestError: the manifest cannot be right as a whole.
        FingerprintError: the store there was made by other encoders.
        EncoderError: there is no such encoder, its weights cannot be read, or what was handed in is none.
        ExtractionError: every row failed, or more than the allowed share failed or could not be re-read; the store is
            complete all the same. Or one row failed, where that stops the run.
        StoreError: the folder is not a store, cannot be written, holds the manifest, or has other values than
            `config`; or these are no values; or there is no such part.
        ClusterError: no cluster is reached, a node does not see the store or the images, or shards could not be filled.
    """
    config.require_valid(overwrite)
    _require_folder(place(store))
    choice = Choice(image_encoder, text_encoder, class_encoder)
    with engine_at_hand(config):
        if (seen := _unchanged(manifest, store, config, columns, overwrite, choice)) is not None:
            return seen
        rows = read_manifest(manifest, columns)
        tell_unused_options(rows, config)
        extraction = prepare_extraction(rows, store, config, overwrite, choice)
        with closing(extraction.encoders):
            return replace(extraction, settings=extract_settings(config, columns, extraction.encoders)).run()


def _unchanged(
    manifest: str | Path | Frame,
    store: str | Path,
    config: ExtractConfig,
    columns: Columns,
    overwrite: bool,
    choice: Choice,
) -> ExtractSummary | None:
    """What a run does where all is as the last one left it, done without parsing the manifest; else None."""
    if isinstance(manifest, Frame) or overwrite or config.content or not (place(store) / STORE_FILE).exists():
        return None
    if isinstance(choice.text, FittedEncoder) and choice.text.state() is None:  # it has to learn from the rows
        return None
    with locked(store, _part(config)):
        seen = if_unchanged(place(manifest), place(store), columns, config)
        if seen is None:
            return None
        tell_unused_options(seen.manifest, config)
        extraction = prepare_extraction(seen.manifest, store, config, choice=choice)
        with closing(extraction.encoders):
            settings = extract_settings(config, columns, extraction.encoders)
            return replace(extraction, settings=settings, done=seen.summary).run()


def engine_at_hand(config: ExtractConfig) -> AbstractContextManager[object]:
    """Connects to the cluster of a run that has one, so that all else waits until one is known to be there.

    Raises:
        ExtraError: ray is not installed.
        ClusterError: no cluster is where the configuration says.
    """
    return connected(config) if config.engine == "ray" else nullcontext()


@dataclass(frozen=True)
class Extraction:
    """A run of stage 1 that nothing speaks against; nothing has been written yet.

    Attributes:
        manifest: the rows.
        store: folder to fill.
        info: what holds for the store.
        encoders: fitted, where they learn.
        class_texts: the text that stands for each class.
        config: encoders, shards and arithmetic.
        choice: encoders that were handed in.
        overwrite: remove the store that is there first.
        done: what is to be told when nothing is to be filled.
        settings: what the store is to keep as its settings.toml; empty for none.
    """

    manifest: Manifest
    store: Path
    info: StoreInfo
    encoders: Encoders
    class_texts: dict[str, str]
    config: ExtractConfig
    choice: Choice = Choice()
    overwrite: bool = False
    done: ExtractSummary | None = None
    settings: str = ""

    def run(self) -> ExtractSummary:
        """Fills the store, alone with its part of it; errors as `extract_features`."""
        start = time.perf_counter()
        with locked(self.store, _part(self.config)), self._engine() as fill:
            target = self._open()
            if self.config.part[0] == 1:  # what belongs to the store as a whole has one writer
                self._write_companions(target)
            summary = self.done or fill(*self._plan(target), target)
        summary = replace(summary, seconds=summary.seconds + time.perf_counter() - start)
        _judge(summary, target, self.config)
        return summary

    def _engine(self) -> AbstractContextManager[Fill]:
        if self.config.engine == "ray" and self.done is None:
            return filling_by_ray(self.manifest, self.store, self.encoders, self.choice, self.config)
        return nullcontext(partial(fill_here, self.manifest, self.encoders, self.config))

    def _plan(self, target: Store) -> tuple[dict[int, Positions], str]:
        """The shards of this part, and the digest of the whole plan."""
        whole = plan_shards(self.manifest.digests, _stored_keys(target), self.config.shard_size)
        target.write_plan(len(whole))
        return part_of(whole, *self.config.part), digest_of_plan(whole)

    def _open(self) -> Store:
        if self.overwrite and self.store.exists():
            self.encoders.prove(self.config.batch_size)
            remove_store(self.store)
        return Store.create(self.store, self.info, self.origin)

    @property
    def origin(self) -> str:
        """Digest of the rows as they are written, the same for all parts: what the store's id is made from."""
        return self.manifest.content

    def _write_companions(self, target: Store) -> None:
        if self.settings:
            keep_settings(target.path, self.settings)
        text = self.encoders.text
        if isinstance(text, FittedEncoder) and text.state() != read_encoder_state(self.store):
            write_encoder_state(target.path, text.state())
        write_class_names(target, self.class_texts, self.encoders.classes, text)


def prepare_extraction(
    manifest: Manifest,
    store: str | Path,
    config: ExtractConfig = ExtractConfig(),
    overwrite: bool = False,
    choice: Choice = Choice(),
    state: State = None,
) -> Extraction:
    """Checks all that can be refused, and makes and fits the encoders; arguments and errors as `extract_features`.

    `state` is what the text encoder has learned elsewhere, for one that is made by name.
    """
    store = place(store)
    config.require_valid(overwrite)
    _require_folder(store)
    _require_apart(manifest.path, store, overwrite)
    texts = class_texts(manifest.labels, config.class_text, manifest.separator)
    allow_pixels(config.max_pixels)
    known = state if overwrite or state is not None else read_encoder_state(store)
    encoders = choose_encoders(manifest, config, choice, known)
    info = StoreInfo(
        kind=FEATURES,
        image=encoders.image.spec if encoders.image is not None else None,
        text=encoders.text.spec if encoders.text is not None else None,
        shard_size=config.shard_size,
        dtype=config.dtype,
        compression=config.compression,
    )
    if overwrite:
        removable_files(store)
    elif store.exists() and not all(is_own_trace(entry.name) for entry in store.iterdir()):
        Store.create(store, info)  # of a store that is there, this checks that it is of the same kind
    return Extraction(manifest, store, info, encoders, texts, choice.named(config), choice, overwrite)


def tell_unused_options(manifest: Manifest, config: ExtractConfig) -> None:
    """Warns of options that have nothing to act on."""
    there = {"images": manifest.has_images, "texts": manifest.has_texts, "labels": bool(manifest.labels)}
    for kind in (kind for kind, has in there.items() if not has):
        tell_unused(f"{manifest.path}: has no {kind}", config.changed(ACT_ON[kind]))


def _part(config: ExtractConfig) -> str:
    """The name of the part that a run has to itself."""
    part, parts = config.part
    return f"part-{part}-of-{parts}" if parts > 1 else ""


def _require_folder(store: Path) -> None:
    require_place(store, StoreError)
    require_folder_name(store, StoreError)


def _require_apart(manifest: Path, store: Path, overwrite: bool) -> None:
    ours, theirs = real_path(store), real_path(manifest)
    if ours == theirs or (overwrite and ours in theirs.parents):
        raise StoreError(f"{store}: holds the manifest {manifest}; name another folder, nothing is written over input")


def _stored_keys(store: Store) -> dict[int, NDArray[np.bytes_]]:
    keys: dict[int, NDArray[np.bytes_]] = {}
    for number in store.ahead():
        try:
            keys[number] = key_digests(store.keys(number))
        except UnreadableError:
            raise
        except ShardError:  # a damaged shard holds nothing: its rows are planned anew, into its place
            keys[number] = key_digests([])
    return keys


def _judge(summary: ExtractSummary, store: Store, config: ExtractConfig) -> None:
    """Raises when too many rows failed, or too many could not be read again."""
    failed, unread, rows = summary.failed, summary.not_reread, summary.rows
    see = f"huse store failures {store.path} lists them"
    most = 0.1 if config.max_failure_rate is None else config.max_failure_rate
    limit = f"more than max_failure_rate={most:g} (--max-failure-rate)"
    if failed and failed == rows and not any(part.text.present.any() or part.image.present.any() for part in store):
        raise ExtractionError(f"all {failed} rows failed, the first with: {summary.failures[0].reason}; {see}", summary)
    if not config.allowed(rows, failed):
        raise ExtractionError(f"{failed} of {rows} rows failed, {limit}; {see}", summary)
    none = unread == rows and config.max_failure_rate is None
    if unread and (none or not config.allowed(rows, unread)):
        raise ExtractionError(
            f"{unread} of {rows} rows could not be re-read, {limit}; they keep their vectors, and "
            f"running again takes them up; {see}",
            summary,
        )
