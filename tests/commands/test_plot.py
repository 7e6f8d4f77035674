"""`huse plot`."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import ok
from samples import random_embeddings


@pytest.mark.xdist_group("umap")  # which is compiled once a process, for longer than all else takes
def test_a_map_is_drawn_without_notices(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = random_embeddings(tmp_path / "s", has_image=False)
    assert "wrote" in ok("plot", store.path, tmp_path / "x.png", "--points", "--projection", "umap")
    assert capfd.readouterr() == ("", ""), "nor by native code"
