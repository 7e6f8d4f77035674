"""The model and its embeddings in memory, compared with what `huse search` finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from huse.embed.draw.projection import lay_out
from huse.embed.search.search import search_embeddings
from huse.embed.serve.searcher import Searcher
from huse.embed.serve.space_map import SpaceMap
from huse.features.store import Store


@pytest.mark.parametrize("index", ["exact", "hnsw"])
@pytest.mark.parametrize("gallery", ["image", "text", "fused"])
@pytest.mark.parametrize("classes", [[], ["food & drink", "flags"]])
def test_it_finds_what_search_finds(
    searcher: Searcher, served_embeddings: Path, index: str, gallery: str, classes: list[str]
) -> None:
    by_index = Searcher(searcher.model, served_embeddings, searcher.folder, index)
    hits = by_index.by_text("wild animal", 7, gallery, classes).hits
    (expected,) = search_embeddings(
        searcher.model,
        served_embeddings,
        texts=["wild animal"],
        k=7,
        gallery=gallery,
        classes=classes,
        index="exact",
    )
    assert [hit.key for hit in hits] == [hit.key for hit in expected]
    assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-3)  # float16
    again = by_index.by_text("wild animal", 7, gallery, classes).hits
    assert again == hits


def test_indexes_are_there_before_the_first_query(searcher: Searcher, served_embeddings: Path) -> None:
    Searcher(searcher.model, served_embeddings, index="hnsw")
    assert {path.name for path in (served_embeddings / "index").glob("*.faiss")} == {
        "fused-hnsw.faiss",
        "image-hnsw.faiss",
        "text-hnsw.faiss",
    }


def test_codes_stay_small_and_are_rescored_by_what_is_on_disk(
    searcher: Searcher, served_embeddings: Path, tmp_path: Path
) -> None:
    whole = Store.open(served_embeddings)
    Store.create(tmp_path / "small", replace(whole.info, dtype="binary")).write_all(whole)
    small = Searcher(searcher.model, tmp_path / "small", searcher.folder, rescore=served_embeddings)
    assert {rows.text.vectors.nbytes for rows in small.shards} <= {len(rows) * 64 // 8 for rows in small.shards}
    exact = Searcher(searcher.model, served_embeddings, searcher.folder, "exact")
    key = str(small.shards[2].key[1])
    for gallery in ("image", "fused"):  # of 42 rows 50 are candidates
        for ours, theirs in (
            (small.by_text("wild animal", 5, gallery, []), exact.by_text("wild animal", 5, gallery, [])),
            (small.by_key(key, "text", 5, gallery, []), exact.by_key(key, "text", 5, gallery, [])),
        ):
            assert [hit.key for hit in ours.hits] == [hit.key for hit in theirs.hits]
            assert [hit.score for hit in ours.hits] == pytest.approx([hit.score for hit in theirs.hits], abs=1e-5)
    drawn = SpaceMap(small.shards, lambda rows: lay_out(rows, "pca"))
    drawn._draw()
    assert (drawn.problem, drawn.data is not None) == ("", True)
