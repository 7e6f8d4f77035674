from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from samples import read_csv

from huse.demo.emoji import unpack_emoji
from huse.demo.run import run_demo
from huse.features.errors import ManifestError, QueryError


def test_unpacks_real_files_and_mends_damaged_ones(emoji: Path, tmp_path: Path) -> None:
    rows = read_csv(emoji)
    assert len(rows) == 1911
    assert sum(row["split"] == "test" for row in rows) == 339
    folder = shutil.copytree(emoji.parent, tmp_path / "emoji")
    victim = folder / rows[5]["image"]
    before = victim.read_bytes()
    victim.write_bytes(before[:10])
    unpack_emoji(folder)
    assert victim.read_bytes() == before


def test_files_of_others_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "emoji.csv").write_text("of the user")
    with pytest.raises(ManifestError, match=r"emoji\.csv: is there already, and is not of huse"):
        unpack_emoji(tmp_path)
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("emoji.csv", "of the user")]
    (tmp_path / "demo.png").write_bytes(b"of the user")
    with pytest.raises(QueryError, match=r"demo\.png: is there already, and is not of huse"):
        run_demo(tmp_path, print)


@pytest.mark.slow
def test_the_demo_reaches_its_floors(tmp_path: Path) -> None:
    """The main job as a person runs it, every stage on all 1,911 images."""
    command = [Path(sys.executable).parent / "huse", "demo", "--out", tmp_path / "demo", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["accuracy"]["image"] >= 0.65
    assert result["accuracy"]["text"] >= 0.83
    assert result["accuracy"]["fused"] >= 0.84
    assert result["retrieval"]["image_to_text"]["map"] >= 0.62
    assert result["retrieval"]["text_to_image"]["map"] >= 0.62
    assert (result["extract"]["rows"], result["extract"]["failures"]) == (1911, 0)
    assert set(result["seconds"]) >= {"extract", "fit", "evaluate", "embed", "search"}
    sea, happy = (result["searches"][words] for words in ("sea animal", "happy face"))
    assert sum("marine" in hit["label"] for hit in sea) >= 4
    assert all(hit["label"].startswith("smileys & emotion/face") for hit in happy)
    with Image.open(tmp_path / "demo" / "demo.png") as image:
        assert image.width >= 1200
