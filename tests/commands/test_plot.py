"""`huse plot`."""

from __future__ import annotations

from pathlib import Path

from command_line import process_ok
from samples import random_embeddings


def test_a_map_is_drawn_without_notices(tmp_path: Path) -> None:
    store = random_embeddings(tmp_path / "s", has_image=False)
    assert "wrote" in process_ok("plot", store.path, tmp_path / "x.png", "--points", "--projection", "umap")
