"""The commands over embeddings and models, through click's runner."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from samples import read_csv

from huse.cli import main


def run(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_several_queries_a_filter_and_a_page(
    few_emoji: Path, few_model: Path, few_embeddings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embeddings = shutil.copytree(few_embeddings, tmp_path / "e")
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    query = [
        "search",
        few_model,
        embeddings,
        "--text",
        "zebra",
        "--text",
        "apple",
        "--class",
        "food & drink",
        "-k",
        2,
    ]
    printed = run(*query, "--open", "--images", few_emoji.parent)
    assert printed.startswith("zebra\n")
    assert printed.count("food & drink/food fruit") == 4
    page = embeddings / "search.html"
    assert opened == [str(page)]
    assert page.read_text(encoding="utf-8").count("data:image/jpeg") == 4
    results = json.loads(run(*query, "--json"))["results"]
    assert [result["query"] for result in results] == ["zebra", "apple"]
    indexed = CliRunner().invoke(main, [*map(str, query[:5]), "--index", "hnsw", "--json"])
    assert len(json.loads(indexed.stdout)["results"][0]["hits"]) == 10
    assert "made an index (hnsw)" in indexed.stderr
    code, message = refused("search", few_model, embeddings, "--text", "a", "--class", "nothing")
    assert (code, "no row is of class nothing" in message) == (1, True)
    assert refused("search", few_model, embeddings)[0] == 2


def test_files_of_vectors(few_store: Path, few_model: Path, tmp_path: Path) -> None:
    assert json.loads(run("embed", few_model, few_store, tmp_path / "v.npy", "--fuse", "--json"))["embedded"] == 42
    assert len(read_csv(tmp_path / "v.csv")) == 42
    code, message = refused("embed", few_model, few_store, tmp_path / "w.npy")
    assert (code, "add fuse=True (--fuse)" in message) == (1, True)


def test_plots(few_emoji: Path, few_model: Path, few_embeddings: Path, tmp_path: Path) -> None:
    for name in ("map.png", "map.html"):
        out = tmp_path / name
        options = ["--projection", "pca", "--split", "test", "--images", few_emoji.parent]
        printed = run("plot", few_embeddings, out, *options)
        assert printed == f"wrote {out}\n"
        assert out.stat().st_size > 10_000
    assert "rank correlation" in run(
        "plot", few_model, tmp_path / "graph.png", "--graph", "--embeddings", few_embeddings
    )
    code, message = refused("plot", few_model, tmp_path / "none.png", "--graph")
    assert (code, "embeddings (--embeddings)" in message) == (1, True)
    run("plot", few_model, tmp_path / "new folder" / "history.svg", "--history")
    assert (tmp_path / "new folder" / "history.svg").read_text(encoding="utf-8").startswith("<?xml")
    code, message = refused("plot", few_model, tmp_path / "history.xyz", "--history")
    assert (code, "name a file .png, .svg or .pdf" in message) == (1, True)
    assert refused("plot", few_model, tmp_path / "x.png", "--graph", "--history")[0] == 2
    assert "name a file .png or .html" in refused("plot", few_embeddings, tmp_path / "map.gif")[1]


def test_exports(few_emoji: Path, few_model: Path, few_embeddings: Path, tmp_path: Path) -> None:
    assert json.loads(run("export", "savedmodel", few_model, tmp_path / "s", "--json"))["endpoints"][-1] == "classify"
    assert "image_embedding" in run("export", "onnx", few_model, tmp_path / "m.onnx")
    printed = run("export", "projector", few_embeddings, tmp_path / "p", "--images", few_emoji.parent)
    assert printed.startswith("84 vectors")
    run("export", "card", few_model, tmp_path / "card", "--license", "apache-2.0")
    assert 'license: "apache-2.0"' in (tmp_path / "card" / "README.md").read_text(encoding="utf-8")


def test_a_server_of_another_model_is_refused_before_it_listens(few_model: Path, few_store: Path) -> None:
    code, message = refused("serve", few_model, few_store)
    assert code == 1
    assert "holds features, this command needs embeddings" in message


def test_small_vectors_are_made_and_searched(
    few_store: Path, few_model: Path, few_embeddings: Path, tmp_path: Path
) -> None:
    out, query = tmp_path / "small", ("--text", "zebra", "-k", 5, "--json")
    run("embed", few_model, few_store, out, "--dtype", "binary")
    assert json.loads(run("store", "inspect", out, "--json"))["dtype"] == "binary"
    words = (
        ("search", few_model, out, *query, "--rescore", few_embeddings),
        ("search", few_model, few_embeddings, *query),
    )
    rescored, whole = ([hit["score"] for hit in json.loads(run(*each))["results"][0]["hits"]] for each in words)
    assert rescored == pytest.approx(whole, abs=1e-5)  # all 42 rows are among the candidates of five
    code, message = refused("search", few_model, few_embeddings, *query, "--rescore", out)
    assert (code, "rescore by embeddings of float16 or float32" in message) == (1, True)
    code, message = refused("embed", few_model, few_store, out)
    assert (code, "add overwrite=True (--overwrite)" in message) == (1, True)
    assert refused("embed", few_model, few_store, out, "--dtype", "int4")[0] == 2
