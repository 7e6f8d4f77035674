"""Embeddings of every type and length that `huse embed` keeps, and what is made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import random_store

from huse.embed.config import EmbedConfig
from huse.embed.embed import embed_source
from huse.embed.files import fused_vectors
from huse.embed.model import Model
from huse.embed.prefix import unit_prefix
from huse.embed.refresh import embed_rows
from huse.features.codes import BINARY, CODES, INT8, encode, stored_width
from huse.features.errors import ModelError, StoreError
from huse.features.inspection import verify_store
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model
from huse.train.config import FitConfig
from huse.train.fit import fit_model

pytestmark = pytest.mark.xdist_group("kept")

CONFIG = FitConfig(dimension=16, nested=(8,), hidden_units=8, epochs=1, patience=0, refit=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return random_store(tmp_path_factory.mktemp("source") / "features")


@pytest.fixture(scope="module")
def model(source: Store) -> Model:
    fit_model(source.path, source.path.parent / "m", CONFIG)
    return Model(load_model(source.path.parent / "m"))


@pytest.fixture(scope="module")
def whole(source: Store, model: Model) -> Store:
    embed_source(model, source.path, source.path.parent / "whole")
    return Store.open(source.path.parent / "whole")


def files_of(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.glob("*.*")}


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("dimension", [None, 8])
def test_codes_and_prefixes_are_those_of_the_whole_vectors(
    dtype: str, dimension: int | None, source: Store, model: Model, whole: Store, tmp_path: Path
) -> None:
    out, kept = tmp_path / "out", EmbedConfig(dtype, dimension)
    assert embed_source(model, source.path, out, kept=kept).embedded == 60
    store = Store.open(out)
    for number in whole.shard_numbers():
        for modality, its in whole.read(number).modalities.items():
            codes = encode(unit_prefix(its.vectors, dimension or 16), dtype)
            np.testing.assert_array_equal(store.read_stored(number).modalities.of(modality).vectors, codes)
    before = files_of(out)
    assert embed_source(model, source.path, out, kept=kept).embedded == 0
    assert files_of(out) == before
    assert not verify_store(store)


def test_a_changed_row_alone_is_embedded_anew(source: Store, model: Model, tmp_path: Path) -> None:
    features = random_store(tmp_path / "features")
    out, kept = tmp_path / "out", EmbedConfig(BINARY)
    embed_source(model, features.path, out, kept=kept)
    before = Store.open(out).load()
    rows = features.read(1)
    rows.text.digest[3] += 1
    rows.text.vectors[3] *= -1
    features.write(1, rows)
    assert embed_source(model, features.path, out, kept=kept).embedded == 1
    after = Store.open(out).load()
    assert np.flatnonzero((after.text.vectors != before.text.vectors).any(axis=1)).tolist() == [28]


def test_another_type_or_length_replaces_nothing_unless_told(source: Store, model: Model, tmp_path: Path) -> None:
    out = tmp_path / "out"
    embed_source(model, source.path, out, kept=EmbedConfig(INT8))
    before = files_of(out)
    for kept, made in ((EmbedConfig(), "16 dimensions as float32"), (EmbedConfig(INT8, 8), "8 dimensions as int8")):
        with pytest.raises(
            StoreError, match=f"of 16 dimensions as int8, this run makes those of {made}; .*--overwrite"
        ):
            embed_source(model, source.path, out, kept=kept)
    assert files_of(out) == before
    assert embed_source(model, source.path, out, overwrite=True, kept=EmbedConfig(BINARY, 8)).embedded == 60
    assert Store.open(out).info.dtype == BINARY


def test_what_the_model_was_not_trained_for_is_told(source: Store, model: Model, tmp_path: Path) -> None:
    assert model.trained.config.nested == CONFIG.nested
    assert "\nThe first 8 dimensions, of unit length again, are embeddings" in model.trained.card("m")
    with pytest.raises(ModelError, match=r"dimension \(--dimension\) is 17, the model's embeddings have 16"):
        embed_source(model, source.path, tmp_path / "out", kept=EmbedConfig(dimension=17))
    with (
        pytest.warns(UserWarning, match="not trained to be cut to 12 dimensions"),
        pytest.raises(StoreError, match="8 dimensions a byte, and the vectors have 12"),
    ):
        embed_source(model, source.path, tmp_path / "out", kept=EmbedConfig(BINARY, 12))
    with pytest.warns(UserWarning, match=r"not trained to be cut to 5 dimensions \(nested: 8\)"):
        embed_source(model, source.path, tmp_path / "out", kept=EmbedConfig(dimension=5))
    assert Store.open(tmp_path / "out").load().image.vectors.shape == (60, 5)
    with pytest.raises(StoreError, match="dimension is 0; it must be at least 1"):
        EmbedConfig(dimension=0)


@pytest.mark.parametrize("dtype", CODES)
def test_files_hold_the_codes_of_the_fused_vectors(dtype: str, source: Store, model: Model, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("v.npy", "v.parquet"):
        embed_source(model, source.path, tmp_path / name, fuse=True, kept=EmbedConfig(dtype))
    codes = encode(fused_vectors(Store.open(tmp_path / "v.store").load()), dtype)
    written = np.load(tmp_path / "v.npy")
    assert (written.dtype, written.shape) == (codes.dtype, (60, stored_width(16, dtype)))
    np.testing.assert_array_equal(written, codes)
    assert parquet.read_table(tmp_path / "v.parquet")["vector"].to_pylist() == codes.tolist()


def test_changes_tell_what_the_codes_stand_for(source: Store, model: Model, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out, kept, upserts = tmp_path / "out", EmbedConfig(INT8), []
    for day in ("1", "2"):
        told = embed_source(model, source.path, out, changes=tmp_path / f"{day}.parquet", kept=kept).changes
        upserts.append(told and told.upserts)
    assert upserts == [60, 0]
    table = parquet.read_table(tmp_path / "1.parquet")
    np.testing.assert_array_equal(np.array(table["text"].to_pylist(), np.float32), Store.open(out).load().text.vectors)
    again = embed_source(
        model, source.path, out, overwrite=True, changes=tmp_path / "3.parquet", kept=replace(kept, dimension=8)
    )
    assert again.changes is not None
    assert again.changes.upserts == 60
    assert json.loads(parquet.read_schema(tmp_path / "3.parquet").metadata[b"huse_changes"])["widths"]["text"] == 8


def test_a_model_without_a_classifier_predicts_nothing(source: Store, model: Model) -> None:
    rows, trained = source.read(0), model.trained
    known = embed_rows(trained, rows)
    assert known.prediction is not None
    assert known.prediction.all()
    embedded = embed_rows(replace(trained, config=replace(CONFIG, objective="infonce")), rows)
    assert embedded.prediction is not None
    assert embedded.probability is not None
    assert not embedded.prediction.any()
    assert not embedded.probability.any()
