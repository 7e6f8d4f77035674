"""`huse embed`: a store or a manifest becomes a store of embeddings, shard by shard."""

from __future__ import annotations

import time
import warnings
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from huse.embed.by_ray import embed_by_ray
from huse.embed.changes.changes import Changes, write_changes
from huse.embed.changes.changes_file import require_changes
from huse.embed.config import EmbedConfig
from huse.embed.files import SUFFIXES, require_writable, write_file
from huse.embed.model import Model, load
from huse.embed.own import require_own
from huse.embed.prefix import kept_dimension
from huse.embed.refresh import embed_here, embed_shards
from huse.embed.settings import embed_settings
from huse.extract.config import ExtractConfig, ExtractSummary
from huse.extract.extract import Extraction, engine_at_hand, prepare_extraction, tell_unused_options
from huse.extract.manifest.frame import Frame
from huse.extract.manifest.rows import Columns, Manifest, read_manifest
from huse.extract.run_encoders import NONE, Choice
from huse.features.delivered import CHANGES_FOLDER
from huse.features.encoder_spec import ELSEWHERE
from huse.features.errors import FingerprintError, ModelError, QueryError, StoreError
from huse.features.files.atomic import replacing_folder
from huse.features.files.folders import link_files, require_apart, require_place
from huse.features.files.lock import locked
from huse.features.files.place import place, real_path
from huse.features.info import EMBEDDINGS, FEATURES, STORE_FILE, StoreInfo
from huse.features.modality import MODALITIES, Pair
from huse.features.settings import keep_settings
from huse.features.store import Store
from huse.features.unused import tell_unused
from huse.train.artifact.model_folder import TrainedModel, check_store

CONTENT = Pair(image="images", text="texts")

FEATURES_FOLDER = "features"
"""Where stage 1 keeps its vectors, inside the embeddings' folder, when the source is a manifest."""

KEPT = (FEATURES_FOLDER, CHANGES_FOLDER)
"""What stays when the embeddings in a folder are replaced."""


@dataclass
class EmbedSummary:
    """What a run did.

    Attributes:
        store: folder of the embeddings, also when a file was asked for.
        rows: rows of the source, all of them in the output now.
        embedded: rows that went through the towers in this run.
        seconds: wall time, stage 1 included.
        extract: what stage 1 did, when the source was a manifest.
        changes: what the file of changes says, if one was asked for.
    """

    store: Path
    rows: int
    embedded: int
    seconds: float
    extract: ExtractSummary | None = None
    changes: Changes | None = None

    @property
    def rows_per_s(self) -> float:
        """Embedded rows a second of wall time."""
        return self.embedded / self.seconds if self.seconds else 0.0


def embed_source(
    model: str | Path | Model,
    source: str | Path | Frame,
    out: str | Path,
    config: ExtractConfig = ExtractConfig(),
    columns: Columns = Columns(),
    fuse: bool = False,
    overwrite: bool = False,
    changes: str | Path | None = None,
    kept: EmbedConfig = EmbedConfig(),
) -> EmbedSummary:
    """Embeds all rows of a store or a manifest and predicts their class: `huse embed`.

    Rows that are unchanged since an earlier run keep their embeddings; those that left the source are dropped.

    Args:
        model: a model folder, or the loaded model.
        source: a store of features, or a manifest, table in memory or folder of images, whose features are then
            extracted into `out`/features first.
        out: folder of the embeddings, or a file .npy or .parquet. A file is written from a store that is kept beside
            it under the same name with the suffix .store, so that a later run embeds only what is new.
        config: how stage 1 runs, if it does; its encoders are the model's own.
        columns: names of the manifest's columns.
        fuse: one vector a row, in a file; see `fused_vectors`.
        overwrite: embed all rows anew, also over the embeddings of another model, which stay until the new ones are
            whole. `out`/features is kept, so that nothing is extracted twice.
        changes: a file .parquet that is to say what differs from what such files of `out` have said before; see
            docs/databases.md. With it `fuse` goes with a folder, too: the file has one vector a row.
        kept: type and length of the embeddings.

    Raises:
        FingerprintError: the store was made by other encoders, or `out` by another model.
        StoreError: shards of the store are missing, or `out` cannot be written or holds something else.
        QueryError: `out` cannot hold what is asked for, see `require_writable`, or is the source; `changes` cannot be
            written, see `require_changes`.
        ShardError: what was said of `out` before is damaged.
        ManifestError: `source` is neither a store nor a manifest.
        ModelError: the model knows nothing of what the source has.
    """
    if not isinstance(model, Model):
        with closing(load(model, config.image_weights, config.precision)) as loaded:
            return embed_source(loaded, source, out, config, columns, fuse, overwrite, changes, kept)
    start = time.perf_counter()
    file, inputs = place(out), [] if isinstance(source, Frame) else [place(source)]
    in_file = fuse and (changes is None or file.suffix in SUFFIXES)
    require_writable(file, in_file, len(model.trained.network.input), *inputs, *model.trained.sources)
    folder = file.with_suffix(".store") if file.suffix in SUFFIXES else file
    if real_path(folder) in map(real_path, inputs):
        raise QueryError(f"{out}: is the source; name another OUT, nothing is written over input")
    stores = [path for path in inputs if _is_store(path)]
    require_apart(folder, QueryError, *stores, *model.trained.sources)
    if changes is not None:
        require_changes(place(changes), file, folder, *inputs, *model.trained.sources)
    config.require_valid(overwrite=False)
    told = None
    with engine_at_hand(config):
        stage = _Embedding(
            model, source if isinstance(source, Frame) else inputs[0], folder, config, columns, overwrite, kept
        )
        with locked(folder):
            rows, embedded = stage.run(embed_settings(model, config, columns, fuse, kept))
            if file.suffix in SUFFIXES:
                write_file(Store.open(folder), file, fuse)
            if changes is not None:
                told = write_changes(Store.open(folder), place(changes), model.trained.fingerprint, fuse)
    return EmbedSummary(folder, rows, embedded, time.perf_counter() - start, stage.extracted, told)


class _Embedding:
    """A run that nothing speaks against; nothing has been written when it is made."""

    def __init__(
        self,
        model: Model,
        source: Path | Frame,
        out: Path,
        config: ExtractConfig,
        columns: Columns,
        overwrite: bool,
        kept: EmbedConfig,
    ) -> None:
        self.trained = model.trained
        self.out = out
        self.extracted: ExtractSummary | None = None
        self._extraction: Extraction | None = None
        require_place(out, StoreError)
        if not isinstance(source, Frame) and _is_store(source):
            self._store = source
            features = self._features()
            self._info = _info(self.trained, kept, features.info.shard_size, features.info.dtype)
            self._origin = features.identity
        else:
            rows = read_manifest(source, columns)
            self._extraction = _extraction(model, rows, out / FEATURES_FOLDER, config)
            self._store = self._extraction.store
            self._info = _info(self.trained, kept, config.shard_size, config.dtype)
            self._origin = self._extraction.origin
        self._engine = partial(embed_by_ray, config=config) if config.engine == "ray" else embed_here
        self._anew = overwrite and (out / STORE_FILE).exists()
        require_own(out, self._info, self._anew)

    def run(self, settings: str) -> tuple[int, int]:
        """Embeds the rows, and keeps the settings; returns how many there are, and how many went through the towers."""
        if not self._anew:
            target = Store.create(self.out, self._info, self._origin)
            keep_settings(target.path, settings)
            return embed_shards(self.trained, self._features(), target, engine=self._engine)
        features = self._features()
        with replacing_folder(self.out, overwrite=True, keep=KEPT) as new:
            target = Store.create(new, self._info, self._origin)
            keep_settings(target.path, settings)
            done = embed_shards(self.trained, features, target, engine=self._engine)
            for name in KEPT:
                link_files(self.out / name, new / name)
        return done

    def _features(self) -> Store:
        """The features to embed, extracted first if need be."""
        if self._extraction is not None:
            self.extracted = self._extraction.run()
        features = Store.open(self._store, FEATURES)
        features.require_whole()
        check_store(self.trained, features)
        return features


def _is_store(path: Path) -> bool:
    return (path / STORE_FILE).exists()


def _info(trained: TrainedModel, kept: EmbedConfig, shard_size: int, dtype: str) -> StoreInfo:
    dimension = kept_dimension(trained, kept.dimension)
    image, text = (trained.embedding_spec(modality, dimension) for modality in MODALITIES)
    return StoreInfo(EMBEDDINGS, image, text, shard_size, kept.dtype or dtype)


def _extraction(model: Model, manifest: Manifest, store: Path, config: ExtractConfig) -> Extraction:
    """Stage 1 by the model's own encoders, of what both it and the manifest have."""
    tell_unused_options(manifest, config)
    for modality, has in _has(manifest).items():
        if not has and model.named(modality):
            option = f"{modality}_encoder (--{modality}-encoder)"
            tell_unused(f"{manifest.path}: has no {CONTENT.of(modality)}", [option])
    rows = _known(model.trained, manifest)
    give = model.recipe if config.engine == "ray" else model.encoder  # workers make theirs by name
    image, text = (give(modality) if has else None for modality, has in _has(rows).items())
    _require_features(model.trained, store)
    # what else the config says of encoders, those of the model have in them
    named = isinstance(image, str)
    weights, precision = (model.image_weights, model.precision) if named else (None, "auto")
    config = replace(config, image_weights=weights, precision=precision, salient_tokens=0)
    return prepare_extraction(rows, store, config, choice=Choice(image, text, NONE), state=model.trained.text_state)


def _has(manifest: Manifest) -> Pair[bool]:
    return Pair(image=manifest.has_images, text=manifest.has_texts)


def _known(trained: TrainedModel, manifest: Manifest) -> Manifest:
    """A manifest without the columns that a model has no tower for, which is said.

    Raises:
        ModelError: none is left, or the features of one were made elsewhere.
    """
    known = trained.specs.given()
    there = {modality for modality, has in _has(manifest).items() if has}
    used = sorted(there & set(known))
    if not used:
        raise ModelError(f"{manifest.path}: has no {' or '.join(sorted(known))}, and the model knows nothing else")
    for modality in used:
        if known[modality].preprocessing == ELSEWHERE:
            raise ModelError(
                f"{manifest.path}: the model was trained on imported {modality} features; make those of these rows "
                "likewise, bring them in with huse store import, and embed that store"
            )
    for modality in sorted(there - set(known)):
        warnings.warn(
            f"{manifest.path}: the model has no {modality} tower; column {modality} is left out", stacklevel=2
        )
    return replace(manifest, has_images="image" in used, has_texts="text" in used, written="")


def _require_features(trained: TrainedModel, folder: Path) -> None:
    """Refuses what an earlier run extracted by other encoders than the model's.

    Raises:
        FingerprintError: the message says what to do with it.
    """
    if not (folder / STORE_FILE).exists():
        return
    for modality, theirs in Store.open(folder, FEATURES).info.specs.given().items():
        ours = trained.specs.of(modality)
        if theirs != ours:
            raise FingerprintError(
                f"{folder}: its {modality} features are of {theirs}, the model takes those of {ours or 'none'}; name "
                "another OUT, or remove that folder to extract anew"
            )
