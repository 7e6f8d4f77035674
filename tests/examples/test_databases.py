"""The recipes for databases, run against the real engines: they find what `huse search` finds, night after night."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import postgres
import pytest

import huse
from huse.embed.embed import embed_source
from huse.embed.search.search import search_embeddings
from huse.features.rows import Rows
from huse.features.store import Store

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
MODULES = {"lancedb": "lancedb", "qdrant": "qdrant_client", "pgvector": "psycopg"}
WORDS = {"image": "a wild animal", "text": "ripe fruit", "fused": "flag of a country"}
"""A query for each gallery."""

K = 7

Run = Callable[..., list[str]]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    folder = postgres.server_folder()
    if folder is None:
        pytest.skip("no PostgreSQL server with pgvector here")
    with postgres.postgres_server(folder) as url:
        yield url


@pytest.fixture(params=list(MODULES))
def run(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs the recipe of an engine on a database of its own; returns the lines that it prints."""
    pytest.importorskip(MODULES[request.param])
    database = request.getfixturevalue("server") if request.param == "pgvector" else str(tmp_path / "the database")
    recipe = runpy.run_path(str(EXAMPLES / f"changes_to_{request.param}.py"))

    def run(*arguments: object) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["recipe", database, *map(str, arguments)])
        capsys.readouterr()
        recipe["main"]()
        return capsys.readouterr().out.splitlines()

    return run


@pytest.mark.slow
def test_a_database_finds_what_huse_finds(run: Run, few_store: Path, few_model: Path, tmp_path: Path) -> None:
    source = Store.create(tmp_path / "source", Store.open(few_store).info)
    source.write_all([awkward(Store.open(few_store).load())])
    agree(run, few_model, source.path, tmp_path)
    rows = source.load().take(np.arange(5, 42))
    rows.image.vectors[2], rows.image.digest[2] = rows.image.vectors[9], rows.image.digest[9]
    rows.image.present[4] = False
    rows.image.vectors[4], rows.image.digest[4] = 0, 0
    smaller = Store.create(tmp_path / "smaller", source.info)
    smaller.write_all([rows])
    agree(run, few_model, smaller.path, tmp_path)
    agree(run, few_model, smaller.path, tmp_path, fuse=True)


def awkward(rows: Rows) -> Rows:
    """Rows with names that need quotes, and some that lack one vector or both."""
    rows.key[:] = [f'it\'s "{key}", 100 %s; ü' for key in rows.key]
    for its, positions in ((rows.image, [1, 20, 30]), (rows.text, [2, 21, 30])):
        its.present[positions] = False
        its.vectors[positions], its.digest[positions] = 0, 0
    rows.label[6] = ""
    return rows


def agree(run: Run, model: Path, source: Path, tmp_path: Path, fuse: bool = False) -> None:
    """Brings embeddings and the database to a source; both find the same."""
    out, file = tmp_path / "out", tmp_path / "changes of a night.parquet"
    embed_source(model, source, out, fuse=fuse, changes=file)
    run("apply", file)
    run("apply", file)  # a night that was interrupted applies it again
    file.unlink()
    loaded = huse.load(model)
    galleries = ("fused",) if fuse else ("image", "text")
    for gallery in galleries:
        words = WORDS[gallery]
        every_hit = search_embeddings(loaded, out, texts=[words], gallery=gallery, k=100)[0]
        truth = {hit.key: hit for hit in every_hit}
        lines = [line.split("\t") for line in run("search", model, words, "--column", gallery, "-k", K)]
        scores = [float(line[0]) for line in lines]
        # where rows are as near as each other, the last digits say which comes first
        np.testing.assert_allclose(scores, [hit.score for hit in every_hit[:K]], atol=2e-3)
        np.testing.assert_allclose(scores, [truth[key].score for _, key, _ in lines], atol=2e-3)
        assert [label for _, _, label in lines] == [truth[key].label for _, key, _ in lines]
        assert len({key for _, key, _ in lines}) == K
    every = run("search", model, WORDS["image"], "--column", galleries[0], "-k", 100)
    rows = Store.open(out).load()
    there = rows.present.image | rows.present.text if fuse else rows.present.image
    assert len(every) == there.sum()
