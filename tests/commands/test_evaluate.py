from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
from command_line import ok

from huse.features.store import Store


def test_the_report_shows_the_images_of_rows_whose_label_is_doubted(
    few_store: Path, few_model: Path, few_emoji: Path, tmp_path: Path
) -> None:
    store = Store.open(shutil.copytree(few_store, tmp_path / "store"))
    rows = store.read(0)
    wrong = np.flatnonzero(rows.split == "test")[:3]
    rows.label[wrong] = "food & drink/food fruit"  # they are flags
    store.write(0, rows)
    ok("evaluate", few_model, store.path, "--report", tmp_path / "r", "--images", few_emoji.parent)
    with (tmp_path / "r" / "doubted.csv").open(encoding="utf-8") as file:
        doubted = list(csv.DictReader(file))
    found = {row["key"]: row["suggested"] for row in doubted if row["key"] in rows.key[wrong]}
    assert found, "one of them at least, whatever the processor"
    assert set(found.values()) == {"flags/country flag"}
    page = (tmp_path / "r" / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == len(doubted)
