"""What the engine asks nodes for; runs on clusters are in tests/test_ray.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from samples import write_csv

from huse.extract.engines.ray import _some_image
from huse.extract.manifest.rows import read_manifest


def test_nodes_are_asked_for_an_image_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "here.png")
    write_csv(tmp_path / "rows.csv", [{"image": "gone.png"}, {"image": "here.png"}])
    monkeypatch.chdir(tmp_path)
    assert _some_image(read_manifest("rows.csv")) == [tmp_path.resolve() / "here.png"]
