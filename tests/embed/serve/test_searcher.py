"""The model and its embeddings in memory, compared with what `huse search` finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from huse.embed.search.search import search_embeddings
from huse.embed.serve.searcher import Searcher


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
