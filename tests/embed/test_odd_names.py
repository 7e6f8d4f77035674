"""Labels, captions and keys of any kind on maps, pages of hits and plots; rows of one class or one modality."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from samples import random_embeddings

from huse.embed.draw.hits_page import write_hits_page
from huse.embed.draw.map_png import draw_map
from huse.embed.draw.model_plots import plot_graph, plot_history
from huse.embed.draw.plot import plot_map
from huse.embed.export.projector import export_projector
from huse.embed.search.gallery import Hit
from huse.features.errors import ModelError, QueryError
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel

ODD = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\"'><img src=x onerror=alert(1)>",
    "$\\frac{$",
    "猫 🐈 é",
    "100 % {braces} &amp; \\",
    "a\u2028b",
    "  ",
]


def odd_store(path: Path) -> Store:
    store = random_embeddings(path / "e", 24)
    rows = store.read(0)
    rows.label[: len(ODD)] = rows.caption[: len(ODD)] = ODD
    rows.key[: len(ODD)] = [f"{name}!" for name in ODD]
    rows.label[len(ODD)] = "two\nlines/and\ttabs"
    store.write(0, rows)
    return store


def test_a_map_of_odd_names_is_a_page_of_its_own_scripts_alone(tmp_path: Path) -> None:
    store = odd_store(tmp_path)
    plot_map(store.path, tmp_path / "map.html", projection="pca")
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert page.count("<script>") == page.count("</script>") == 1
    assert "<!--" not in page
    found = re.search(r'drawMap\(document.getElementById\("map"\), (.*)\);', page)
    assert found
    data = json.loads(found.group(1))
    assert [row["caption"] for row in data["rows"][: len(ODD)]] == ODD
    assert [row["key"] for row in data["rows"][: len(ODD)]] == [f"{name}!" for name in ODD]
    with pytest.warns(UserWarning, match="the font of a PNG map lacks, such as '猫'"):
        plot_map(store.path, tmp_path / "map.PNG", projection="pca")
    with Image.open(tmp_path / "map.PNG") as image:
        assert image.format == "PNG"


def test_a_page_of_odd_hits_shows_them_as_text(tmp_path: Path) -> None:
    hits = [Hit(name, 0.5, name, name, "") for name in ODD]
    write_hits_page(tmp_path / "p.html", [*ODD, "\udcff"], [hits] * (len(ODD) + 1), tmp_path)
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r"<img(?! alt=)", page)
    assert all(page.count(html.escape(name)) >= len(ODD) for name in ODD)


class Kernel(np.ndarray):  # type: ignore[type-arg]
    """The weights of the classes of a network."""

    path = "head/kernel"


def test_plots_of_odd_class_names(tmp_path: Path) -> None:
    names = ODD[:-1]
    trained = TrainedModel.__new__(TrainedModel)
    same = np.eye(len(names))
    for weights in (np.random.default_rng(0).random(same.shape), same):
        network = SimpleNamespace(weights=[weights.view(Kernel)])
        values: dict[str, Any] = {"classes": names, "graph": 1.0 - same, "network": network}
        for name, value in values.items():
            object.__setattr__(trained, name, value)
        assert np.isnan(plot_graph(trained, tmp_path / "g.SVG")), "all pairs are equally far in the graph"
    assert (tmp_path / "g.SVG").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "history.csv is empty"),
        (b"a,b\n1,2\n", "history.csv is empty"),
        (b"phase,epoch,class,val_score\nsearch,1,x,0.5\n", "history.csv is damaged"),
        (b"phase,epoch,class\nsearch,,1\n", "history.csv is damaged"),
        (b"phase,epoch\n\xff\xfe,1\n", "history.csv is damaged"),
    ],
)
def test_a_damaged_history_is_told(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "history.csv").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        plot_history(tmp_path / "m", tmp_path / "h.png")
    assert not (tmp_path / "h.png").exists()


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_maps_of_one_class_or_one_modality(suffix: str, tmp_path: Path) -> None:
    store = random_embeddings(tmp_path / "e", 7, has_image=False)
    plot_map(store.path, tmp_path / f"text{suffix}", projection="pca")
    rows = store.read(0)
    rows.label[:] = "things/one"
    store.write(0, rows)
    plot_map(store.path, tmp_path / f"one{suffix}", projection="pca")
    assert (tmp_path / f"one{suffix}").stat().st_size > 3000


def with_images(rows: Rows) -> Rows:
    rows.uri[:] = [f"images/{i}.png" for i in range(len(rows))]
    return rows


def test_images_that_are_not_found_are_told_with_their_place(tmp_path: Path) -> None:
    store = random_embeddings(tmp_path / "e", 9)
    store.write(0, with_images(store.read(0)))
    looked = re.escape(f"the first was looked for at {tmp_path}/images/0.png; name their folder by folder (--images)")
    with pytest.warns(UserWarning, match=f"none of 9 images is there, {looked}"):
        plot_map(store.path, tmp_path / "map.html", projection="pca")
    with pytest.warns(UserWarning, match=looked):
        plot_map(store.path, tmp_path / "map.png", projection="pca")
    with pytest.warns(UserWarning, match=looked):
        export_projector(store.path, tmp_path / "p")
    with pytest.warns(UserWarning, match=looked):
        write_hits_page(tmp_path / "p.html", ["a"], [[Hit("k", 0.5, "", "", "images/0.png")]], tmp_path)
    (tmp_path / "images").mkdir()
    Image.new("L", (3, 3)).save(tmp_path / "images" / "4.png")
    plot_map(store.path, tmp_path / "map.html", projection="pca")


def test_a_plot_does_not_take_the_place_of_an_image(tmp_path: Path) -> None:
    store = random_embeddings(tmp_path / "e", 9)
    store.write(0, with_images(store.read(0)))
    (tmp_path / "images").mkdir()
    Image.new("L", (3, 3)).save(tmp_path / "images" / "4.png")
    before = (tmp_path / "images" / "4.png").read_bytes()
    with pytest.raises(QueryError, match="is not of huse"):
        plot_map(store.path, tmp_path / "images" / "4.png")
    assert (tmp_path / "images" / "4.png").read_bytes() == before


def test_rows_whose_images_have_no_file_are_drawn_without(tmp_path: Path) -> None:
    rows = random_embeddings(tmp_path / "e", 9).load()
    draw_map(rows, tmp_path, tmp_path / "map.png", projection="pca")
    assert export_projector(tmp_path / "e", tmp_path / "p") == 18
