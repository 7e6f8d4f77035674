"""Search, exact and by an index, over real emoji and made vectors."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from samples import random_rows, read_csv

import huse
from huse.embed.draw.hits_page import write_hits_page
from huse.embed.embed import embed_source
from huse.embed.files import fused_vectors
from huse.embed.search.gallery import BLOCK, PART, Gallery, Hit, in_classes, nearest
from huse.embed.search.index import choose_kind, open_index
from huse.embed.search.search import search_embeddings
from huse.features.errors import QueryError
from huse.features.rows import Rows
from huse.features.store import Store


def test_search_finds_what_the_words_mean(few_emoji: Path, few_model: Path, few_embeddings: Path) -> None:
    model = huse.load(few_model)
    for words, label in (("flag of a country", "flags"), ("wild animal", "animals"), ("sweet fruit", "food")):
        hits = model.search(few_embeddings, text=words, k=5)
        assert [hit.label.split("/")[0].split(" ")[0] for hit in hits] == [label] * 5
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    fruit = next(row for row in read_csv(few_emoji) if row["label"].endswith("fruit"))
    hits = model.search(few_embeddings, image=few_emoji.parent / fruit["image"], gallery="image", k=1)
    assert (hits[0].key, round(hits[0].score, 2)) == (fruit["key"], 1.0)
    assert hits[0].caption == fruit["text"]


def found(
    parts: Iterable[Rows], gallery: str, queries: NDArray[np.floating], k: int, block: int = BLOCK
) -> list[list[Hit]]:
    return nearest((Gallery.of(rows, gallery) for rows in parts), queries, k, block=block)


def test_search_equals_sorting_everything(few_model: Path, few_embeddings: Path) -> None:
    queries = np.random.default_rng(0).normal(size=(3, 64))
    store = Store.open(few_embeddings)
    rows = store.load()
    for gallery in ("image", "text", "fused"):
        vectors = fused_vectors(rows) if gallery == "fused" else rows.modalities.of(gallery).vectors.astype(np.float32)
        expected = [list(rows.key[np.argsort(-(vectors @ query))][:12]) for query in queries.astype(np.float32)]
        assert [[hit.key for hit in hits] for hits in found(store, gallery, queries, 12)] == expected
    assert [len(hits) for hits in found(store, "text", queries, 1000)] == [42] * 3


@given(
    sizes=st.lists(st.integers(0, 9), max_size=5) | st.lists(st.integers(PART, 4 * PART), min_size=1, max_size=3),
    k=st.integers(1, 12),
    block=st.integers(1, 6) | st.integers(PART, 4 * PART),
    values=st.integers(0, 2**32 - 1),
)
def test_blocks_and_ties_lose_nothing(sizes: list[int], k: int, block: int, values: int) -> None:
    rng = np.random.default_rng(values)
    parts = []
    for shard, size in enumerate(sizes):
        rows = Rows.empty(size, 0, 2)
        rows.key[:] = [f"{shard}-{i}" for i in range(size)]
        rows.text.vectors[:] = rng.integers(-1, 2, (size, 2))  # many equal scores
        rows.text.present[:] = rng.random(size) < 0.7
        parts.append(rows)
    query = np.array([1.0, 0.5])
    entries = [(r.key[i], float(r.text.vectors[i] @ query)) for r in parts for i in range(len(r)) if r.text.present[i]]
    expected = sorted(entries, key=lambda entry: -entry[1])[:k]
    (hits,) = found(parts, "text", query[None], k, block)
    assert [(hit.key, hit.score) for hit in hits] == expected


@pytest.mark.parametrize("classes", [[], ["rare"]])
def test_few_shards_are_in_memory_at_a_time(classes: list[str]) -> None:
    made: list[weakref.ref[Gallery]] = []
    most = 0

    def galleries() -> Iterator[Gallery]:
        nonlocal most
        for _ in range(30):
            rows = random_rows(20)
            rows.label[:] = ["rare"] + ["frequent"] * 19
            gallery = Gallery.of(rows, "text")
            made.append(weakref.ref(gallery))
            most = max(most, sum(each() is not None for each in made))
            yield gallery
            del gallery, rows

    (hits,) = nearest(galleries(), np.ones((1, random_rows(1).text.dimension)), 100, classes, block=60)
    assert len(hits) == (30 if classes else 100)
    assert most <= 5


def test_a_filter_leaves_its_classes_and_those_below(few_model: Path, few_embeddings: Path) -> None:
    model = huse.load(few_model)
    for wanted, expected in (
        (["food & drink"], {"food & drink/food fruit"}),
        (["flags/country flag", "animals & nature/"], {"flags/country flag", "animals & nature/animal mammal"}),
    ):
        hits = model.search(few_embeddings, text="animal", k=40, classes=wanted)
        assert {hit.label for hit in hits} == expected
        assert len(hits) == 14 * len(expected)
    with pytest.raises(QueryError, match=r"no row is of class Flag \(--class\), .*; did you mean flags\?"):
        model.search(few_embeddings, text="animal", classes=["Flag"])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("Home/TV", {"Home/TV", "Home/TV/Plasma"}),
        ("Home/TV/Video", {"Home/TV\u2215Video", "Home/TV\u2215Video/Discs"}),
        ("Home/TV\u2215Video/", {"Home/TV\u2215Video", "Home/TV\u2215Video/Discs"}),
        ("Home", {"Home/TV", "Home/TV/Plasma", "Home/TV\u2215Video", "Home/TV\u2215Video/Discs"}),
        ("Hom", set()),
        ("Video", set()),
        ("Men > w/", {"Men > w\u2215", "Men > w\u2215/Shirts"}),
    ],
)
def test_a_slash_within_a_name_leads_to_no_class_above(wanted: str, expected: set[str]) -> None:
    labels = ["Home/TV", "Home/TV/Plasma", "Home/TV\u2215Video", "Home/TV\u2215Video/Discs", "", "Garden/TV"]
    labels += ["Men > w\u2215", "Men > w\u2215/Shirts"]
    rows = Rows.empty(len(labels), 1, 1)
    rows.label[:] = labels
    assert set(rows.label[in_classes(rows, [wanted])]) == expected


def test_several_queries_at_once(few_emoji: Path, few_model: Path, few_embeddings: Path) -> None:
    model = huse.load(few_model)
    image = few_emoji.parent / read_csv(few_emoji)[0]["image"]
    together = search_embeddings(model, few_embeddings, texts=["zebra", "apple"], images=[image], k=3)
    alone = [
        model.search(few_embeddings, k=3, **query) for query in ({"text": "zebra"}, {"text": "apple"}, {"image": image})
    ]  # type: ignore[arg-type]
    assert [[hit.key for hit in hits] for hits in together] == [[hit.key for hit in hits] for hits in alone]


@pytest.mark.parametrize("kind", ["hnsw", "ivfpq"])
def test_an_index_is_kept_measured_and_made_anew(
    kind: str, few_model: Path, few_embeddings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(few_embeddings, tmp_path / "e")
    store, said = Store.open(tmp_path / "e"), []
    queries = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
    index = open_index(store, "text", kind, said.append)
    assert len(said) == 1
    assert f"made an index ({kind}) of 42 text vectors: finds" in said[0]
    assert 0 <= index.recall <= 1
    approximate, exact = index.nearest(queries, 5), found(store, "text", queries, 5)
    if kind == "hnsw":
        assert index.recall == 1
        assert [[hit.key for hit in hits] for hits in approximate] == [[hit.key for hit in hits] for hits in exact]
        assert approximate[0][0].caption == exact[0][0].caption
        assert approximate[0][0].score == pytest.approx(exact[0][0].score, abs=1e-5)
    assert open_index(store, "text", kind, said.append).recall == index.recall
    assert len(said) == 1, "the kept index was taken"
    rows = store.read(0)
    rows.text.present[3] = False
    rows.text.vectors[3] = 0
    store.write(0, rows)
    assert open_index(store, "text", kind, said.append).faiss.ntotal == 41
    assert len(said) == 2, "the embeddings had changed"
    keys = {hit.key for hits in open_index(store, "text", kind).nearest(queries, 50) for hit in hits}
    assert rows.key[3] not in keys


def test_the_size_chooses_the_index(few_embeddings: Path) -> None:
    store = Store.open(few_embeddings)
    assert choose_kind(store, "auto") == "exact"
    for rows, kind in ((10**6, "exact"), (10**6 + 1, "hnsw"), (10**7, "hnsw"), (10**7 + 1, "ivfpq")):
        assert choose_kind(range(rows), "auto") == kind  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="no index 'flat'"):
        choose_kind(store, "flat")


def test_bad_queries_are_named(few_model: Path, few_embeddings: Path, tmp_path: Path) -> None:
    model = huse.load(few_model)
    (tmp_path / "x.jpg").write_text("words")
    for query, message in (
        ({}, "either a text or an image"),
        ({"text": "a", "image": "b"}, "either a text or an image"),
        ({"text": " "}, "text 0 of 1 is empty"),
        ({"text": "a", "k": 0}, "k is 0"),
        ({"image": tmp_path / "x.jpg"}, r"x\.jpg: not an image"),
        ({"image": tmp_path / "y.jpg"}, "No such file"),
    ):
        with pytest.raises(QueryError, match=message):
            model.search(few_embeddings, **query)  # type: ignore[arg-type]


def test_a_gallery_without_the_modality_is_named(few_model: Path, few_store: Path, tmp_path: Path) -> None:
    rows = Store.open(few_store).read(0)
    rows.image.present[:] = False
    source = Store.create(tmp_path / "source", Store.open(few_store).info)
    source.write(0, rows)
    source.write_plan(1)
    embed_source(few_model, source.path, tmp_path / "out")
    with pytest.raises(QueryError, match="no row has a vector of modality image; try another gallery"):
        search_embeddings(huse.load(few_model), tmp_path / "out", texts=["cat"])


def test_a_page_of_hits_holds_its_images(
    few_emoji: Path, few_model: Path, few_embeddings: Path, tmp_path: Path
) -> None:
    hits = huse.load(few_model).search(few_embeddings, text="sweet fruit", k=4)
    odd = [replace(hits[0], caption="<script>alert(1)</script>", uri="absent.png")]
    write_hits_page(tmp_path / "p.html", ["fruit", "<b>"], [hits, odd], few_emoji.parent)
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 4
    assert "<script>" not in page
    assert "<b></h2>" not in page
    assert all(f"{hit.score:.3f}" in page for hit in hits)
