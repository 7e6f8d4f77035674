"""Maps and plots."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from huse.embed.draw import projection
from huse.embed.draw.map_page import write_map_page
from huse.embed.draw.model_plots import class_distances, plot_graph, plot_history
from huse.embed.draw.projection import PROJECTIONS, lay_out, project
from huse.features.errors import ModelError, QueryError, StoreError
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model


@pytest.mark.xdist_group("umap")
@pytest.mark.parametrize("name", PROJECTIONS)
def test_a_projection_keeps_groups_together(name: str) -> None:
    rng = np.random.default_rng(0)
    centers = np.eye(3, 16).repeat(20, axis=0)
    vectors = centers + 0.05 * rng.normal(size=(60, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    places = project(vectors, name)
    assert places.shape == (60, 2)
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (distance.argmin(axis=1) // 20 == np.arange(60) // 20).all()
    np.testing.assert_allclose(project(vectors, name), places, atol=1e-3)


@pytest.mark.parametrize(
    ("points", "installed", "taken"),
    [
        (2000, True, "tsne"),
        (2001, True, "umap"),
        (2001, False, "tsne"),
        (20_000, False, "tsne"),
        (20_001, False, "pca"),
    ],
)
def test_auto_is_what_is_there_and_fast(
    points: int, installed: bool, taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installed:
        (tmp_path / "umap.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
    else:
        monkeypatch.setitem(sys.modules, "umap", None)
    assert projection._fast(points) == taken


def test_unknown_projections_are_named() -> None:
    with pytest.raises(QueryError, match="no projection 'mds'; use auto, umap"):
        project(np.eye(5), "mds")


def test_points_follow_their_rows(few_embeddings: Path) -> None:
    rows = Store.open(few_embeddings).load()
    rows.image.present[4] = False
    points = lay_out(rows, "pca")
    assert len(points.row) == 83
    assert 4 not in points.row[points.is_image]
    assert points.coordinates.min() == 0
    assert points.coordinates.max() == 1


def test_the_page_is_whole_in_itself(few_emoji: Path, few_embeddings: Path, tmp_path: Path) -> None:
    rows = Store.open(few_embeddings).load()
    rows.caption[0] = "</script><b>"
    write_map_page(rows, few_emoji.parent, tmp_path / "map.html", projection="pca")
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert page.count("</script>") == 1
    assert not re.search(r"(src|href)=.?https?:", page)
    found = re.search(r'drawMap\(document.getElementById\("map"\), (.*)\);', page)
    assert found
    data = json.loads(found.group(1))
    assert (len(data["points"]), len(data["rows"]), len(data["legend"])) == (84, 42, 3)
    assert data["rows"][0]["caption"] == "</script><b>"
    assert all(row["thumb"].startswith("data:image/jpeg") for row in data["rows"])


def test_class_distances_are_those_of_mean_embeddings(few_model: Path, few_embeddings: Path) -> None:
    trained, rows = load_model(few_model), Store.open(few_embeddings).load()
    means = []
    for label in trained.classes:
        its = np.array([found == label for found in rows.label])
        vectors = [side.vectors[its & side.present].astype(float) for _, side in rows.modalities.items()]
        means.append(np.concatenate(vectors).mean(axis=0))
    expected = [[1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a in means] for b in means]
    np.testing.assert_allclose(class_distances(trained, Store.open(few_embeddings)), expected, atol=1e-5)


def test_embeddings_without_rows_tell_no_distances(few_model: Path, few_embeddings: Path, tmp_path: Path) -> None:
    empty = Store.create(tmp_path / "empty", Store.open(few_embeddings).info)
    with pytest.raises(StoreError, match="fewer than two"):
        class_distances(load_model(few_model), empty)


def test_the_graph_is_set_against_what_was_learned(few_model: Path, few_embeddings: Path, tmp_path: Path) -> None:
    assert -1 <= plot_graph(load_model(few_model), tmp_path / "graph.png", few_embeddings) <= 1
    with pytest.raises(ModelError, match=r"embeddings \(--embeddings\)"):
        plot_graph(few_model, tmp_path / "none.png")
    plot_history(few_model, tmp_path / "history.png")
    for name in ("graph.png", "history.png"):
        with Image.open(tmp_path / name) as image:
            assert image.width > 800
    with pytest.raises(ModelError, match=r"no history\.csv there"):
        plot_history(tmp_path / "none", tmp_path / "x.png")
