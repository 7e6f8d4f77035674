"""Search over codes and over prefixes, and by whole vectors among what it found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from samples import EMBEDDING_DIMENSION, embedding_spec, random_embeddings

from huse.embed.files import fused_vectors
from huse.embed.prefix import unit_prefix
from huse.embed.search.engine import Engine
from huse.embed.search.gallery import GALLERIES, Gallery, Hit
from huse.embed.search.rescore import CANDIDATES, Rescorer, open_whole
from huse.features.codes import CODES
from huse.features.errors import FingerprintError, QueryError
from huse.features.rows import Rows
from huse.features.store import Store


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """The same 60 rows as float32, int8 and binary, and their first 8 dimensions."""
    folder = tmp_path_factory.mktemp("stores")
    made = {dtype: random_embeddings(folder / dtype, dtype=dtype) for dtype in ("float32", *CODES)}
    for store in made.values():
        rows = store.read(0)
        rows.image.present[2], rows.text.present[4] = False, False
        rows.image.vectors[2], rows.text.vectors[4] = 0, 0
        store.write(0, rows)
    whole = made["float32"]
    specs = {name: embedding_spec(name, 8) for name in ("image", "text")}
    made["prefix"] = Store.create(folder / "prefix", replace(whole.info, **specs))
    for number in whole.shard_numbers():
        rows = whole.read(number)
        cut = rows.modalities.map(lambda its: replace(its, vectors=unit_prefix(its.vectors, 8)))
        made["prefix"].write(number, replace(rows, image=cut.image, text=cut.text))
    return made


@pytest.fixture(scope="module")
def queries() -> NDArray[np.float32]:
    vectors = np.random.default_rng(7).normal(size=(3, EMBEDDING_DIMENSION)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def expected(rows: Rows, gallery: str, query: NDArray[np.float32], k: int) -> list[tuple[str, float]]:
    vectors = fused_vectors(rows) if gallery == "fused" else rows.modalities.of(gallery).vectors
    there = np.flatnonzero(Gallery.of(rows, gallery).there)
    scores = [
        (str(rows.key[i]), sum(float(a) * float(b) for a, b in zip(vectors[i], query, strict=True))) for i in there
    ]
    return sorted(scores, key=lambda score: -score[1])[:k]


def same(hits: list[Hit], scores: list[tuple[str, float]]) -> bool:
    return [hit.key for hit in hits] == [key for key, _ in scores] and np.allclose(
        [hit.score for hit in hits], [score for _, score in scores], atol=1e-5
    )


@pytest.mark.parametrize("kind", [*CODES, "prefix"])
@pytest.mark.parametrize("gallery", GALLERIES)
@pytest.mark.parametrize("in_memory", [False, True])
def test_small_vectors_are_compared_as_what_they_stand_for(
    kind: str, gallery: str, in_memory: bool, stores: dict[str, Store], queries: NDArray[np.float32]
) -> None:
    store = stores[kind]
    shards = [store.read_stored(number) for number in store.shard_numbers()] if in_memory else None
    engine = Engine(store, shards=shards)
    rows = store.load()
    cut = unit_prefix(queries, store.info.dimension)
    for query, hits in zip(cut, engine.nearest(queries, gallery, 7), strict=True):
        got, want = {hit.key: hit.score for hit in hits}, expected(rows, gallery, query, 7)
        np.testing.assert_allclose(sorted(got.values()), sorted(score for _, score in want), atol=1e-5)
    by_all = Engine(store, shards=shards, rescore=open_whole(stores["float32"].path, store))
    whole = stores["float32"].load()
    for query, hits in zip(queries, by_all.nearest(queries, gallery, 6), strict=True):  # 60 candidates are all rows
        assert same(hits, expected(whole, gallery, query, 6))
    for query, hits in zip(queries, by_all.nearest(queries, gallery, 2), strict=True):
        (first,) = engine.nearest(query[None], gallery, 2 * CANDIDATES)
        chosen = whole.take(np.isin(whole.key, [hit.key for hit in first]))
        assert same(hits, expected(chosen, gallery, query, 2))


def test_codes_in_memory_stay_codes(stores: dict[str, Store]) -> None:
    shards = [stores["binary"].read_stored(number) for number in stores["binary"].shard_numbers()]
    engine = Engine(stores["binary"], shards=shards)
    for gallery in GALLERIES:
        engine.nearest(np.ones((1, EMBEDDING_DIMENSION), np.float32), gallery, 1)
        for kept in engine._galleries[gallery]:
            assert kept.vectors is None or kept.vectors.nbytes == len(kept.rows) * EMBEDDING_DIMENSION // 8


def test_what_cannot_be_rescored_by_says_why(stores: dict[str, Store], tmp_path: Path) -> None:
    small, query = stores["binary"], np.ones((1, EMBEDDING_DIMENSION), np.float32)
    with pytest.raises(QueryError, match="keeps its vectors as int8; rescore by embeddings of float16 or float32"):
        open_whole(stores["int8"].path, small)
    with pytest.raises(QueryError, match=r"prefix: has 8 dimensions, .*binary 16; rescore by whole vectors"):
        open_whole(stores["prefix"], small)
    one = Store.create(tmp_path / "one", replace(small.info, dtype="float32", image=None))
    one.write_all([replace(rows, image=Rows.empty(len(rows), 0, 0).image) for rows in stores["float32"]])
    with pytest.raises(FingerprintError, match="another model made these image embeddings"):
        open_whole(one.path, small)
    few = random_embeddings(tmp_path / "few", n=25)
    with pytest.raises(QueryError, match=r"few: has no row 'row \d+' to rescore by; embed the same rows"):
        Engine(small, rescore=few).nearest(query, "text", 6)
    rows = few.read(0)
    rows.text.present[:], rows.text.vectors[:] = False, 0
    few.write(0, rows)
    few.write(1, stores["float32"].read(1))
    few.write(2, stores["float32"].read(2))
    with pytest.raises(QueryError, match=r"row 'row \d+' has no text vector to rescore by; embed it anew"):
        Engine(small, rescore=Store.open(few.path)).nearest(query, "text", 6)


def test_rows_that_move_while_it_is_used_keep_their_vectors(tmp_path: Path) -> None:
    store = random_embeddings(tmp_path / "e")
    rows, rescorer = store.load(), Rescorer(store)
    keys = [str(key) for key in rows.key]

    def found() -> NDArray[np.float32]:
        return rescorer.vectors(keys[3:], "text")

    np.testing.assert_array_equal(found(), rows.text.vectors[3:])
    for kept in (np.arange(60)[::-1], np.arange(3, 60), np.roll(np.arange(60), 7)):
        for number, start in enumerate(range(0, 75, 25)):
            store.write(number, rows.take(kept[start : start + 25]))
        np.testing.assert_array_equal(found(), rows.text.vectors[3:])
    store.write(0, rows)
    for number in (1, 2):
        store.shard_path(number).unlink()
    np.testing.assert_array_equal(found(), rows.text.vectors[3:])
    store.write(0, rows.take(np.arange(30)))
    with pytest.raises(QueryError, match="has no row 'row 30' to rescore by"):
        found()


@pytest.mark.parametrize("kind", [*CODES, "prefix"])
def test_an_index_is_made_of_what_codes_stand_for(
    kind: str, stores: dict[str, Store], queries: NDArray[np.float32]
) -> None:
    pytest.importorskip("faiss")
    exact = Engine(stores[kind]).nearest(queries, "text", 5)
    by_index = Engine(stores[kind], "hnsw", rescore=stores["float32"])
    assert [[hit.score for hit in hits] for hits in Engine(stores[kind], "hnsw").nearest(queries, "text", 5)] == [
        pytest.approx([hit.score for hit in hits], abs=2e-3) for hits in exact
    ]
    whole = Engine(stores["float32"]).nearest(queries, "text", 6)
    assert [[h.key for h in hits] for hits in by_index.nearest(queries, "text", 6)] == [
        [h.key for h in hits] for hits in whole
    ]
