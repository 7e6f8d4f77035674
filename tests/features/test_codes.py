"""Codes of vectors against plain loops, and stores that keep them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from samples import embedding_spec, random_embeddings

from huse.features.codes import BINARY, CODES, INT8, decode, encode, stored_type, stored_width
from huse.features.errors import ShardError, StoreError
from huse.features.exchange.interchange import export_store
from huse.features.exchange.merge_split import merge_stores, split_store
from huse.features.info import FEATURES
from huse.features.inspection import verify_store
from huse.features.store import Store

VECTORS = arrays(np.float32, (3, 16), elements=st.floats(-1, 1, width=32))


def unit(n: int, dimension: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(0).normal(size=(n, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_int8_is_each_vector_at_its_own_scale() -> None:
    vectors = unit(20, 64)
    codes = encode(vectors, INT8)
    for vector, code in zip(vectors.astype(float), codes, strict=True):
        scale = 127 / max(abs(x) for x in vector)
        assert code.tolist() == [round(x * scale) for x in vector]
    assert (decode(codes) * vectors).sum(axis=1).min() > 0.9999
    np.testing.assert_allclose(np.linalg.norm(decode(codes), axis=1), 1, atol=1e-6)


def test_binary_is_a_bit_a_dimension_the_first_the_highest() -> None:
    vectors = unit(20, 24)
    codes = encode(vectors, BINARY)
    for vector, code, decoded in zip(vectors, codes, decode(codes), strict=True):
        bits = "".join("1" if x > 0 else "0" for x in vector)
        assert [f"{byte:08b}" for byte in code] == [bits[i : i + 8] for i in range(0, 24, 8)]
        np.testing.assert_allclose(decoded, [(1 if x > 0 else -1) / 24**0.5 for x in vector], rtol=1e-6)


@pytest.mark.parametrize("dtype", CODES)
@given(vectors=VECTORS)
def test_what_a_code_stands_for_has_that_code(dtype: str, vectors: NDArray[np.float32]) -> None:
    codes = encode(vectors, dtype)
    assert codes.dtype == stored_type(dtype)
    assert codes.shape == (3, stored_width(16, dtype))
    decoded = decode(codes)
    assert np.isfinite(decoded).all()
    np.testing.assert_array_equal(encode(decoded, dtype), codes)
    np.testing.assert_array_equal(encode(codes, dtype), codes)
    assert decode(decoded) is decoded
    assert decode(codes[:0]).shape == (0, 16)


@pytest.mark.parametrize("dtype", CODES)
def test_a_store_of_codes_gives_unit_vectors_and_copies_of_it_the_same_bytes(dtype: str, tmp_path: Path) -> None:
    whole = random_embeddings(tmp_path / "whole").load()
    store = random_embeddings(tmp_path / "small", dtype=dtype)
    rows = store.read(0)
    rows.image.present[3], rows.image.vectors[3] = False, 0
    store.write(0, rows)
    again = Store.open(store.path).load()
    assert again.image.vectors.dtype == np.float32
    assert not again.image.vectors[3].any()
    assert (again.text.vectors * whole.text.vectors).sum(axis=1).min() > (0.99 if dtype == INT8 else 0.5)
    names = ("image", "has_image")
    np.testing.assert_array_equal(store.columns(0, names)["image"], again.image.vectors[:25])
    np.testing.assert_array_equal(store.slice(1, names, 2, 5)["image"], again.image.vectors[27:30])
    kept = store.read_stored(0).image.vectors
    assert (kept.dtype, kept.shape) == (stored_type(dtype), (25, stored_width(16, dtype)))
    with h5py.File(store.shard_path(0)) as file:
        np.testing.assert_array_equal(file["image"][:], kept)
    split_store(store.path, tmp_path / "parts", parts=2)
    merge_stores([tmp_path / "parts" / f"part-{i}" for i in range(2)], tmp_path / "merged")
    merged = Store.open(tmp_path / "merged")
    np.testing.assert_array_equal(merged.load().image.vectors, again.image.vectors)
    np.testing.assert_array_equal(merged.read_stored(1).text.vectors, store.read_stored(1).text.vectors)
    assert not verify_store(store)


@pytest.mark.parametrize("dtype", CODES)
def test_exports_hold_the_codes(dtype: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    store = random_embeddings(tmp_path / "small", dtype=dtype)
    codes = np.concatenate([store.read_stored(i).image.vectors for i in store.shard_numbers()])
    for out in ("v.npz", "v.parquet", "folder"):
        export_store(store.path, tmp_path / out)
    for exported in (np.load(tmp_path / "v.npz")["image"], np.load(tmp_path / "folder" / "image.npy")):
        assert exported.dtype == codes.dtype
        np.testing.assert_array_equal(exported, codes)
    column = parquet.read_table(tmp_path / "v.parquet")["image"]
    assert str(column.type) == f"fixed_size_list<element: {codes.dtype}>[{codes.shape[1]}]"
    assert column.to_pylist() == codes.tolist()


@pytest.mark.parametrize("dtype", CODES)
def test_a_flipped_bit_of_a_code_is_found(dtype: str, tmp_path: Path) -> None:
    store = random_embeddings(tmp_path / "small", n=5, dtype=dtype)
    path = store.shard_path(0)
    with h5py.File(path) as file:
        start, size = file["image"].id.get_offset(), file["image"].nbytes
    whole = path.read_bytes()
    for place in (start, start + size // 2, start + size - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ShardError, match="image does not match its digest"):
            store.read(0)


def test_codes_of_another_type_than_the_stores_are_refused(tmp_path: Path) -> None:
    store = random_embeddings(tmp_path / "small", dtype=INT8)
    for info, message in (
        (replace(store.info, dtype="float16"), "vectors of int8, not float16"),
        (replace(store.info, dtype=BINARY), "vectors of length 16, not 2"),
    ):
        with pytest.raises(ShardError, match=message):
            Store(store.path, info, store.identity).read(0)


def test_what_has_no_codes_is_refused(tmp_path: Path) -> None:
    info = random_embeddings(tmp_path / "whole", n=3).info
    with pytest.raises(StoreError, match="dtype is 'int8'; features are kept as float16 or float32"):
        replace(info, kind=FEATURES, dtype=INT8)
    with pytest.raises(StoreError, match=r"8 dimensions a byte, and the vectors have 12; use dtype='int8' \(--dtype\)"):
        replace(info, image=embedding_spec("image", 12), text=embedding_spec("text", 12), dtype=BINARY)
    store = random_embeddings(tmp_path / "small", n=3, dtype=INT8)
    rows = store.read(0)
    rows.text.vectors[1, 2] = np.nan
    with pytest.raises(StoreError, match="text vector of key 'row 1' is not finite"):
        store.write(0, rows)
