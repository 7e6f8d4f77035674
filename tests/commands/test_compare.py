"""`huse compare`."""

from __future__ import annotations

from pathlib import Path

from command_line import invoke
from samples import random_store


def test_compare_prints_the_tables(tmp_path: Path) -> None:
    store = random_store(tmp_path / "s")
    options = ["--objectives", "posterior,huse", "--seeds", 1, "--trials", 1, "--epochs", 2]
    done = invoke("compare", store.path, "--out", tmp_path / "out", *options)
    assert (done.exit_code, done.stderr) == (0, "semantic graph: class names\n")
    printed = done.stdout
    assert "### Table 1: retrieval" in printed
    assert printed.strip() == (tmp_path / "out" / "tables.md").read_text().strip()
    assert invoke("compare", store.path, "--objectives", "clip").exit_code == 1
